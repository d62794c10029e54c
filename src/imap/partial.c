#include "imap/partial.h"

static bool take_bound(slice *text, bool *ret_minus, uint32_t *ret)
{
	size_t n = 0;

	*ret_minus = slice_starts(*text, S("-"));
	*text = slice_skip(*text, *ret_minus);
	while (n < text->n && ascii_is_digit(text->p[n]))
		n++;
	if (!slice_to_u32(slice_sub(*text, 0, n), UINT32_MAX, ret) || *ret == 0)
		return false;
	*text = slice_skip(*text, n);
	return true;
}

bool imap_take_partial(struct imap_args *a, struct imap_partial *ret)
{
	struct imap_partial p = {.is = true};
	bool minus;
	slice text;

	if (ret->is)
		return imap_args_fail(a, "PARTIAL stands twice");
	if (!imap_take_sp(a) || !imap_take_atom(a, &p.range))
		return imap_args_fail(a, "PARTIAL wants a range such as 1:100 or -1:-100");
	text = p.range;
	bool good = take_bound(&text, &p.from_end, &p.first) && slice_starts(text, S(":"));
	text = slice_skip(text, 1);
	if (!good || !take_bound(&text, &minus, &p.last) || minus != p.from_end || text.n > 0)
		return imap_args_fail(a, "PARTIAL wants a range such as 1:100 or -1:-100");
	if (p.first > p.last) {
		uint32_t x = p.first;

		p.first = p.last;
		p.last = x;
	}
	*ret = p;
	return true;
}

void imap_partial_places(const struct imap_partial *p, uint32_t n, uint32_t *ret_from, uint32_t *ret_to)
{
	uint32_t first = p->first - 1 < n ? p->first - 1 : n, last = p->last < n ? p->last : n;

	*ret_from = p->from_end ? n - last : first;
	*ret_to = p->from_end ? n - first : last;
}

int imap_partial_of(const struct imap_partial *p, const struct uidset *of, struct uidset *add_to)
{
	uint32_t from, to;

	imap_partial_places(p, uidset_count(of), &from, &to);
	if (from >= to)
		return 0;
	return uidset_add_between(add_to, of, uidset_uid(of, from + 1), uidset_uid(of, to));
}
