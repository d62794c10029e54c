#include "imap/objectid.h"
#include "imap/write.h"

void imap_emailid_write(struct buf *out, uint32_t account, uint64_t message)
{
	buf_add_c(out, 'M');
	imap_write_u64(out, account);
	buf_add_c(out, '-');
	imap_write_u64(out, message);
}

void imap_mailboxid_write(struct buf *out, const struct mailbox_row *row)
{
	buf_add_c(out, 'F');
	imap_write_u64(out, row->account);
	buf_add_c(out, '-');
	imap_write_u64(out, row->id);
	buf_add_c(out, '-');
	imap_write_u64(out, row->uidvalidity);
}

/* Of a number only the one way to write it counts: no two texts mean one message. */
static bool canonical(slice digits)
{
	return digits.n == 1 || (digits.n > 1 && digits.p[0] != '0');
}

bool imap_emailid_read(slice id, uint32_t account, uint64_t *ret_message)
{
	slice of, number = slice_skip(id, 1);
	uint32_t owner;
	uint64_t message;

	if (!slice_starts(id, S("M")) || !slice_cut(&number, '-', &of) || !canonical(of) ||
		!canonical(number) || !slice_to_u32(of, UINT32_MAX, &owner) || owner != account ||
		!slice_to_u64(number, UINT64_MAX, &message))
		return false;
	*ret_message = message;
	return true;
}

bool imap_objectid_valid(slice id)
{
	for (size_t i = 0; i < id.n; i++) {
		if (!ascii_is_alpha(id.p[i]) && !ascii_is_digit(id.p[i]) && id.p[i] != '-' && id.p[i] != '_')
			return false;
	}
	return id.n > 0 && id.n <= 255;
}
