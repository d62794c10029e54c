#include "mail/date.h"
#include "mail/chars.h"

#define DAY_S     86400
#define DATE_TEXT 1024 /* a date is found in so many bytes or not at all */

static const char month_names[12][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char day_names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

/* RFC 5322 4.3; the military letters and all other names mean -0000 */
static const struct {
	slice name;
	int min;
} zones[] = {
	{SLICE_INIT("UT"), 0},
	{SLICE_INIT("GMT"), 0},
	{SLICE_INIT("EST"), -300},
	{SLICE_INIT("EDT"), -240},
	{SLICE_INIT("CST"), -360},
	{SLICE_INIT("CDT"), -300},
	{SLICE_INIT("MST"), -420},
	{SLICE_INIT("MDT"), -360},
	{SLICE_INIT("PST"), -480},
	{SLICE_INIT("PDT"), -420},
};

/* ---- the calendar: eras of 400 years = 146,097 days, years beginning in March ---- */

int64_t mail_civil_days(int year, int month, int day)
{
	int64_t months = (int64_t)year * 12 + month - 3; /* since March of year 0 */
	int64_t y = months >= 0 ? months / 12 : -((-months + 11) / 12);
	int64_t m = months - y * 12;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * m + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

int64_t mail_civil_to_unix(const struct mail_civil *c)
{
	return mail_civil_days(c->year, c->month, c->day) * DAY_S + c->hour * 3600 + c->min * 60 + c->sec;
}

struct mail_civil mail_civil_from_unix(int64_t utc_s)
{
	const int64_t first = -377705116800, last = 253402300799; /* -9999-01-01, 9999-12-31 */
	if (utc_s < first)
		utc_s = first;
	if (utc_s > last)
		utc_s = last;
	int64_t days = utc_s / DAY_S, sec = utc_s % DAY_S;
	if (sec < 0) {
		sec += DAY_S;
		days--;
	}
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;
	int64_t month = mp < 10 ? mp + 3 : mp - 9;
	return (struct mail_civil){
		.year = (int)(yoe + era * 400 + (month <= 2)),
		.month = (int)month,
		.day = (int)(doy - (153 * mp + 2) / 5 + 1),
		.hour = (int)(sec / 3600),
		.min = (int)(sec / 60 % 60),
		.sec = (int)(sec % 60),
		.weekday = (int)(((days + 4) % 7 + 7) % 7),
	};
}

static int month_days(int year, int month)
{
	static const int8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[month - 1] + (month == 2 && leap);
}

/* ---- reading ---- */

static int name_index(slice word, const char (*names)[4], int n)
{
	if (word.n < 3)
		return -1;
	for (int i = 0; i < n; i++) {
		if (slice_ieq(slice_sub(word, 0, 3), slice_make(names[i], 3)))
			return i;
	}
	return -1;
}

/* "Jan", "January" and "Sept", not any word with that head: 1 to 12, 0 when it is none. */
static int month_of(slice word)
{
	static const slice full[12] = {SLICE_INIT("January"), SLICE_INIT("February"), SLICE_INIT("March"),
		SLICE_INIT("April"), SLICE_INIT("May"), SLICE_INIT("June"), SLICE_INIT("July"),
		SLICE_INIT("August"), SLICE_INIT("September"), SLICE_INIT("October"), SLICE_INIT("November"),
		SLICE_INIT("December")};
	int i = name_index(word, month_names, 12);
	return i >= 0 && slice_istarts(full[i], word) ? i + 1 : 0;
}

enum token_kind { TOKEN_END, TOKEN_NUMBER, TOKEN_WORD, TOKEN_TIME, TOKEN_ZONE, TOKEN_OTHER };

struct token {
	enum token_kind kind;
	slice text;
};

static size_t skip_comment(slice s, size_t i)
{
	size_t depth = 0;
	for (; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')' && --depth == 0)
			return i + 1;
	}
	return s.n;
}

/* The text with comments and commas as blanks, and no blanks around colons: "09 (h) : 55" becomes "09:55". */
static slice tidy(slice s, char *z)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n;) {
		bool blank = mail_char(s.p[i]) & CH_BLANK || s.p[i] == ',' || s.p[i] == '(';
		size_t next = s.p[i] == '(' ? skip_comment(s, i) : i + 1;
		if (blank && n && z[n - 1] != ' ' && z[n - 1] != ':')
			z[n++] = ' ';
		if (!blank) {
			if (s.p[i] == ':' && n && z[n - 1] == ' ')
				n--;
			z[n++] = s.p[i];
		}
		i = next;
	}
	return (slice){z, n};
}

static bool next_token(slice *in, struct token *ret)
{
	slice s = *in;
	size_t i = 0;
	while (i < s.n && s.p[i] == ' ')
		i++;
	size_t start = i;
	if (i == s.n) {
		*in = (slice){s.p, 0};
		ret->kind = TOKEN_END;
		return false;
	}
	char c = s.p[i];
	if ((c == '+' || c == '-') && i + 1 < s.n && ascii_is_digit(s.p[i + 1])) {
		for (i++; i < s.n && (ascii_is_digit(s.p[i]) || s.p[i] == ':'); i++)
			;
		ret->kind = i - start >= 5 ? TOKEN_ZONE : TOKEN_NUMBER;
		if (ret->kind == TOKEN_NUMBER)
			start++; /* the dash of 13-Feb-69 */
	} else if (ascii_is_digit(c)) {
		ret->kind = TOKEN_NUMBER;
		for (; i < s.n && (ascii_is_digit(s.p[i]) || s.p[i] == ':' || s.p[i] == '.'); i++) {
			if (s.p[i] == ':')
				ret->kind = TOKEN_TIME;
		}
	} else if (ascii_is_alpha(c)) {
		ret->kind = TOKEN_WORD;
		while (i < s.n && (ascii_is_alpha(s.p[i]) || ascii_is_digit(s.p[i])))
			i++;
	} else {
		ret->kind = TOKEN_OTHER;
		i++;
	}
	ret->text = slice_sub(s, start, i - start);
	*in = slice_skip(s, i);
	return true;
}

/* One to `max` digits off *in; -1: none, or more. */
static int take_digits(slice *in, size_t max)
{
	int v = 0;
	size_t i = 0;
	for (; i < in->n && ascii_is_digit(in->p[i]); i++) {
		if (i == max)
			return -1;
		v = v * 10 + (in->p[i] - '0');
	}
	*in = slice_skip(*in, i);
	return i ? v : -1;
}

static bool take_c(slice *in, char c)
{
	if (in->n == 0 || in->p[0] != c)
		return false;
	*in = slice_skip(*in, 1);
	return true;
}

static bool time_valid(const struct mail_civil *c)
{
	return c->hour >= 0 && c->hour <= 23 && c->min >= 0 && c->min <= 59 && c->sec >= 0 && c->sec <= 60;
}

static bool parse_time(slice s, struct mail_civil *c)
{
	c->hour = take_digits(&s, 2);
	if (!take_c(&s, ':') && !take_c(&s, '.'))
		return false;
	c->min = take_digits(&s, 2);
	c->sec = take_c(&s, ':') || take_c(&s, '.') ? take_digits(&s, 2) : 0;
	return time_valid(c);
}

static bool parse_zone_digits(slice s, int *ret_min)
{
	bool west = s.n && s.p[0] == '-';
	if (west || (s.n && s.p[0] == '+'))
		s = slice_skip(s, 1);
	slice hour = slice_sub(s, 0, 2);
	bool colon = s.n == 5 && s.p[2] == ':';
	slice rest = slice_skip(s, colon ? 3 : 2);
	int h = take_digits(&hour, 2), m = take_digits(&rest, 2);
	if (s.n != (colon ? 5u : 4u) || h < 0 || m < 0 || h > 23 || m > 59)
		return false;
	*ret_min = west ? -(h * 60 + m) : h * 60 + m;
	return true;
}

static int zone_of_name(slice word)
{
	slice head = slice_sub(word, 0, 3);
	for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
		/* EST5EDT and the like go by their first three letters */
		bool posix = word.n > 3 && ascii_is_digit(word.p[3]);
		if (slice_ieq(posix ? head : word, zones[i].name))
			return zones[i].min;
	}
	return 0;
}

/* RFC 5322 4.3: two digits below 50 are 20xx, else and with three digits 1900 is added. */
static int full_year(slice s)
{
	slice rest = s;
	int y = take_digits(&rest, 4);
	if (y < 0 || rest.n || s.n == 1)
		return -1;
	if (s.n == 2)
		return y < 50 ? y + 2000 : y + 1900;
	return s.n == 3 ? y + 1900 : y;
}

struct date_parts {
	struct mail_civil c;
	int zone_min;
	bool has_day, has_month, has_year, has_time, has_zone;
};

static void take_number(struct date_parts *d, slice s)
{
	slice rest = s;
	int v = take_digits(&rest, 4);
	if (d->has_time && d->has_year && !d->has_zone && s.n == 4 && parse_zone_digits(s, &d->zone_min)) {
		d->has_zone = true;
	} else if (!d->has_day && s.n <= 2 && v >= 1 && v <= 31) {
		d->c.day = v;
		d->has_day = true;
	} else if (d->has_day && d->has_month && !d->has_year && full_year(s) >= 0) {
		d->c.year = full_year(s);
		d->has_year = true;
	}
}

bool mail_date_parse(slice s, struct mail_date *ret)
{
	struct date_parts d = {0};
	struct token t;
	char z[DATE_TEXT];
	s = tidy(slice_sub(s, 0, sizeof z), z);
	while (!(d.has_zone && d.has_year) && next_token(&s, &t)) {
		if (t.kind == TOKEN_NUMBER) {
			take_number(&d, t.text);
		} else if (t.kind == TOKEN_TIME && d.has_month && !d.has_time) {
			if (!parse_time(t.text, &d.c))
				return false;
			d.has_time = true;
		} else if (t.kind == TOKEN_ZONE && d.has_time) {
			d.has_zone = true;
			if (!parse_zone_digits(t.text, &d.zone_min))
				d.zone_min = 0;
		} else if (t.kind == TOKEN_WORD && !d.has_month && month_of(t.text)) {
			d.c.month = month_of(t.text);
			d.has_month = true;
		} else if (t.kind == TOKEN_WORD && d.has_time && d.has_year && !d.has_zone) {
			d.zone_min = zone_of_name(t.text);
			d.has_zone = true;
		}
	}
	if (!d.has_day || !d.has_month || !d.has_year || d.c.day > month_days(d.c.year, d.c.month))
		return false;
	*ret = (struct mail_date){mail_civil_to_unix(&d.c) - d.zone_min * 60, d.zone_min};
	return true;
}

static slice take_quotes(slice s)
{
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		return slice_sub(s, 1, s.n - 2);
	return s;
}

/* "dd-Mon-yyyy" off the head of *s. */
static bool take_imap_day(slice *s, struct mail_civil *c)
{
	c->day = take_digits(s, 2);
	if (!take_c(s, '-'))
		return false;
	c->month = name_index(slice_sub(*s, 0, 3), month_names, 12) + 1;
	*s = slice_skip(*s, 3);
	if (!take_c(s, '-') || s->n < 4)
		return false;
	slice year = slice_sub(*s, 0, 4);
	c->year = take_digits(&year, 4);
	*s = slice_skip(*s, 4);
	return year.n == 0 && c->month > 0 && c->day > 0 && c->day <= month_days(c->year, c->month);
}

bool mail_date_imap_parse(slice s, struct mail_date *ret)
{
	struct mail_civil c = {0};
	int zone;
	s = take_quotes(s);
	if (s.n == 26 && s.p[0] == ' ' && ascii_is_digit(s.p[1]) && s.p[2] == '-')
		s = slice_skip(s, 1);
	if (!take_imap_day(&s, &c) || s.n != 15 || s.p[0] != ' ' || s.p[3] != ':' || s.p[6] != ':' ||
		s.p[9] != ' ')
		return false;
	if ((s.p[10] != '+' && s.p[10] != '-') || !parse_time(slice_sub(s, 1, 8), &c) ||
		!parse_zone_digits(slice_skip(s, 10), &zone))
		return false;
	*ret = (struct mail_date){mail_civil_to_unix(&c) - zone * 60, zone};
	return true;
}

bool mail_date_imap_day_parse(slice s, int64_t *ret_days)
{
	struct mail_civil c = {0};
	s = take_quotes(s);
	if (!take_imap_day(&s, &c) || s.n)
		return false;
	*ret_days = mail_civil_days(c.year, c.month, c.day);
	return true;
}

/* Exactly n digits off the head. */
static bool take_fixed(slice *s, size_t n, int *ret)
{
	slice digits = slice_sub(*s, 0, n);
	if (digits.n < n)
		return false;
	*ret = take_digits(&digits, n);
	*s = slice_skip(*s, n);
	return digits.n == 0;
}

bool mail_date_rfc3339_parse(slice s, struct mail_date *ret)
{
	struct mail_civil c = {0};
	int zone = 0;
	if (!take_fixed(&s, 4, &c.year) || !take_c(&s, '-') || !take_fixed(&s, 2, &c.month) ||
		!take_c(&s, '-') || !take_fixed(&s, 2, &c.day) || s.n == 0 || ascii_lower(s.p[0]) != 't')
		return false;
	s = slice_skip(s, 1);
	if (c.month < 1 || c.month > 12 || c.day < 1 || c.day > month_days(c.year, c.month) ||
		!take_fixed(&s, 2, &c.hour) || !take_c(&s, ':') || !take_fixed(&s, 2, &c.min) ||
		!take_c(&s, ':') || !take_fixed(&s, 2, &c.sec) || !time_valid(&c))
		return false;
	if (take_c(&s, '.')) {
		size_t before = s.n;
		while (s.n && ascii_is_digit(s.p[0]))
			s = slice_skip(s, 1);
		if (s.n == before)
			return false;
	}
	bool utc = s.n == 1 && ascii_lower(s.p[0]) == 'z';
	if (!utc && (s.n != 6 || (s.p[0] != '+' && s.p[0] != '-') || !parse_zone_digits(s, &zone)))
		return false;
	*ret = (struct mail_date){mail_civil_to_unix(&c) - zone * 60, zone};
	return true;
}

/* ---- writing ---- */

static struct mail_civil local_civil(struct mail_date *d)
{
	if (d->zone_min < -1439 || d->zone_min > 1439)
		d->zone_min = 0;
	return mail_civil_from_unix(d->utc_s + (int64_t)d->zone_min * 60);
}

void mail_date_write(struct buf *out, struct mail_date d)
{
	struct mail_civil c = local_civil(&d);
	int zone = d.zone_min < 0 ? -d.zone_min : d.zone_min;
	buf_addf(out, "%s, %d %s %04d %02d:%02d:%02d %c%02d%02d", day_names[c.weekday], c.day,
		month_names[c.month - 1], c.year, c.hour, c.min, c.sec, d.zone_min < 0 ? '-' : '+', zone / 60,
		zone % 60);
}

void mail_date_imap_write(struct buf *out, struct mail_date d)
{
	struct mail_civil c = local_civil(&d);
	int zone = d.zone_min < 0 ? -d.zone_min : d.zone_min;
	buf_addf(out, "\"%2d-%s-%04d %02d:%02d:%02d %c%02d%02d\"", c.day, month_names[c.month - 1], c.year,
		c.hour, c.min, c.sec, d.zone_min < 0 ? '-' : '+', zone / 60, zone % 60);
}

void mail_date_rfc3339_write(struct buf *out, struct mail_date d)
{
	struct mail_civil c = mail_civil_from_unix(d.utc_s);
	buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02dZ", c.year, c.month, c.day, c.hour, c.min, c.sec);
}
