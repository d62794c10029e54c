/* A world for SMTP sessions in tests: answers are set by directives, what arrived can be looked at. */
#pragma once
#include "../scram_world.h"
#include "../talk_runner.h"
#include "smtp/session.h"

struct fake_rule { /* what is said of an address: at MAIL or RCPT, or after the content */
	char address[320];
	enum smtp_verdict verdict;
	char text[128];
};

struct fake_world {
	struct smtp_config config;
	struct smtp_session session;
	struct scram_world scram;
	bool scram_on;
	struct fake_rule at_rcpt[16], at_end[16];
	size_t at_rcpt_n, at_end_n;
	char user[64], secret[64], authzid[64];
	enum err_kind welcome, begin_fails, write_fails, end_fails;
	char fail_text[128];
	bool login_temp, tls_fails, draining;
	struct tls_context *tls_context; /* NULL: a handshake that succeeds without a word */

	struct buf message; /* the one under way, then the last one taken */
	struct buf envelope, received;
	char abort_why[160];
	unsigned begins, ends, aborts, messages, tls;
	bool open;
	enum smtp_end end;
};

struct fake_world *fake_world_new(void);
void fake_world_free(struct fake_world *w);
PARKS void fake_world_serve(struct fake_world *w, struct stream *io);

extern const struct talk_server fake_talk_server;
