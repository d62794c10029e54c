/* Content-Type and Content-Disposition fields (RFC 2045 5, 2183): a value and its parameters, kept raw. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

struct mail_param {
	slice name;  /* as written, RFC 2231 marks included: "filename*0*" */
	slice value; /* without quotes and backslashes, else raw */
};

struct mail_value {
	slice type;    /* "text" of text/plain; the whole token of a disposition; p == NULL: nothing usable */
	slice subtype; /* p == NULL for a disposition */
	const struct mail_param *params;
	uint32_t n;
	bool cut; /* more than LIMIT_MAIL_PARAMS, or the arena was full */
};

/* Reads "type/subtype; name=value ...". Tolerant: broken parameters are skipped. slash: a subtype is wanted.
 * Slices lie in `body` or in the arena. False: no usable type (ret is then empty). */
bool mail_value_parse(slice body, bool slash, struct arena *a, struct mail_value *ret);

/* The raw value of the plain parameter `name` (case folded), {NULL, 0} when there is none. */
slice mail_value_param(const struct mail_value *v, slice name);

/*
 * The parameter decoded to UTF-8: RFC 2231 continuations and charsets put together, else RFC 2047 words in it
 * decoded (against the standard, but what mailers write). False: not there. The result is in the arena.
 */
bool mail_value_param_utf8(const struct mail_value *v, slice name, struct arena *a, slice *ret);
