#include "auth/relay.h"
#include "auth/credential_int.h"
#include "base/wire.h"
#include "limits.h"

#define VERSION 1

int relay_secret_set(struct credentials *c, uint32_t route, slice secret, err *e)
{
	struct buf row = BUF_INIT(LIMIT_SECRET + 16);

	if (secret.n == 0 || secret.n > LIMIT_SECRET)
		return err_set(e, ERR_LIMIT, "a password has 1 to %d bytes", LIMIT_SECRET);
	if (!buf_room(&row, LIMIT_SECRET + 16)) /* once, so that no smaller block is left with a part of it */
		return err_set(e, ERR_TEMP, "out of memory");
	wire_put_u8(&row, VERSION);
	wire_put_raw(&row, secret);
	wire_seal(&row, 0);
	int rc = credentials_write(c, CREDENTIAL_RELAY, route, buf_slice(&row), e);
	explicit_bzero(row.p, row.cap);
	buf_free(&row);
	return rc;
}

int relay_secret_remove(struct credentials *c, uint32_t route, err *e)
{
	return credentials_write(c, CREDENTIAL_RELAY, route, (slice){0}, e);
}

static int take(slice value, void *arg, err *e)
{
	struct buf *out = arg;

	if (!wire_unseal(&value) || value.n < 2 || value.p[0] != VERSION || value.n - 1 > LIMIT_SECRET)
		return err_set(e, ERR_CORRUPT, "the secret of a route is damaged; set it again");
	buf_add(out, slice_skip(value, 1));
	return out->failed ? err_set(e, ERR_TEMP, "out of memory") : 0;
}

int relay_secret_get(struct credentials *c, uint32_t route, struct buf *out, err *e)
{
	int rc = credentials_read(c, CREDENTIAL_RELAY, route, take, out, e);

	return rc == 0 ? err_set(e, ERR_MISSING, "there is no secret of route %u", route) : rc < 0 ? -1 : 0;
}
