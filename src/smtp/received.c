#include "smtp/received.h"

slice smtp_protocol_name(const struct smtp_trace *t)
{
	/* RFC 3848: S with TLS, A with a log-in; RFC 6531 4.3: UTF8 in front */
	static const slice names[2][2][4] = {
		{
			{SLICE_INIT("ESMTP"), SLICE_INIT("ESMTPS"), SLICE_INIT("ESMTPA"),
				SLICE_INIT("ESMTPSA")},
			{SLICE_INIT("UTF8SMTP"), SLICE_INIT("UTF8SMTPS"), SLICE_INIT("UTF8SMTPA"),
				SLICE_INIT("UTF8SMTPSA")},
		},
		{
			{SLICE_INIT("LMTP"), SLICE_INIT("LMTPS"), SLICE_INIT("LMTPA"), SLICE_INIT("LMTPSA")},
			{SLICE_INIT("UTF8LMTP"), SLICE_INIT("UTF8LMTPS"), SLICE_INIT("UTF8LMTPA"),
				SLICE_INIT("UTF8LMTPSA")},
		},
	};
	if (!t->lmtp && !t->extended)
		return S("SMTP");
	return names[t->lmtp][t->utf8][(t->tls.n ? 1 : 0) + (t->authenticated ? 2 : 0)];
}

static void add_from(struct buf *out, const struct smtp_trace *t)
{
	buf_addz(out, "from ");
	buf_add(out, t->helo.n ? t->helo : S("unknown"));
	if (t->address.n) {
		buf_addz(out, " (");
		if (t->name.n) {
			buf_add(out, t->name);
			buf_add_c(out, ' ');
		}
		buf_addz(out, slice_find_c(t->address, ':') >= 0 ? "[IPv6:" : "[");
		buf_add(out, t->address);
		buf_addz(out, "])");
	}
}

void smtp_received_format(
	struct buf *out, const struct smtp_envelope *env, slice queue_id, struct mail_date date)
{
	const struct smtp_trace *t = &env->trace;

	buf_addz(out, "Received: ");
	if (!t->hidden) {
		add_from(out, t);
		buf_addz(out, "\r\n\t");
	}
	buf_addz(out, "by ");
	buf_add(out, t->host);
	buf_addz(out, " (Posthouse) with ");
	buf_add(out, smtp_protocol_name(t));
	if (t->tls.n) {
		buf_addz(out, " (");
		buf_add(out, t->tls);
		buf_add_c(out, ')');
	}
	buf_addz(out, "\r\n\tid ");
	buf_add(out, queue_id);
	if (env->n == 1) { /* more would show each who else got it */
		buf_addz(out, " for <");
		mail_path_write(out, &env->recipients[0].path);
		buf_add_c(out, '>');
	}
	buf_addz(out, ";\r\n\t");
	mail_date_write(out, date);
	buf_addz(out, "\r\n");
}
