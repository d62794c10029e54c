/* Dates of mail and IMAP, and the civil calendar behind them (proleptic Gregorian, no leap seconds). Pure. */
#pragma once
#include "base/buf.h"

struct mail_date {
	int64_t utc_s; /* seconds since 1970 UTC */
	int zone_min;  /* minutes east of UTC, -1439..1439; "-0000" is 0 */
};

struct mail_civil {
	int year, month, day; /* month 1..12, day 1..31 */
	int hour, min, sec;
	int weekday; /* 0 = Sunday; ignored by mail_civil_to_unix */
};

/* Days since 1970-01-01 of a civil date; any month and day, they carry over. */
int64_t mail_civil_days(int year, int month, int day);
int64_t mail_civil_to_unix(const struct mail_civil *c);
/* Years -9999..9999; beyond, the nearest such moment. */
struct mail_civil mail_civil_from_unix(int64_t utc_s);

/*
 * RFC 5322 3.3 with 4.3 (two-digit years, named zones, comments, missing seconds), and what old programs
 * write: asctime order, missing commas, zones without sign. An unknown zone is read as -0000. False: no date
 * to be found.
 */
bool mail_date_parse(slice s, struct mail_date *ret);
/* RFC 5322: "Thu, 13 Feb 1969 23:32:54 -0330". */
void mail_date_write(struct buf *out, struct mail_date d);

/* IMAP date-time, strict: "17-Jul-1996 02:44:25 -0700", without or with the quotes; the day may begin with a
 * blank. */
bool mail_date_imap_parse(slice s, struct mail_date *ret);
/* With the quotes. */
void mail_date_imap_write(struct buf *out, struct mail_date d);
/* RFC 3339 5.6, strict: "2026-11-24T15:00:00Z", "2026-11-24t23:00:00.5+08:00"; a fraction is dropped. */
bool mail_date_rfc3339_parse(slice s, struct mail_date *ret);
/* "2026-11-24T15:00:00Z", in UTC whatever the zone. */
void mail_date_rfc3339_write(struct buf *out, struct mail_date d);
/* IMAP date, strict: "1-Feb-1994", without or with the quotes; days since 1970-01-01. */
bool mail_date_imap_day_parse(slice s, int64_t *ret_days);
