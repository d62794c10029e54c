/*
 * A store on the memory engine for the targets that fuzz a session after login. A template account has a
 * mailbox of messages of many shapes; each input gets an account of its own whose mailboxes are copies, which
 * share the blobs. After some inputs the store is made anew, so that a long run stays in bounded memory.
 */
#pragma once
#include "base/buf.h"
#include "base/encode.h"
#include "io/loop.h"
#include "mail/summary.h"
#include "mailbox/account.h"
#include "mailbox/watch.h"
#include "mailbox/write.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FUZZ_INPUTS_MAX 500 /* inputs a store sees */

struct fuzz_world {
	struct loop *loop;
	struct store *store;
	struct mailbox_codec *codec;
	struct watchers *watchers;
	struct watch_loop *watch_loop;
	uint32_t template_account;
	unsigned inputs;
};

static void fuzz_must(int rc)
{
	if (rc < 0)
		abort();
}

static void fuzz_remove_files(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *x;
	char path[512];

	while (d && (x = readdir(d))) {
		if (x->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, x->d_name);
		if (unlink(path) < 0)
			fuzz_remove_files(path);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

/* ---- messages ---- */

static const char *const fuzz_messages[] = {
	"Message-ID: <1@x>\r\nFrom: a@b\r\nSubject: =?utf-8?q?=C3=A4?=\r\n\r\nhello\r\n",
	"From: \"A\\\"\" <a@b>, c@d\r\nTo: g: x@y, z@w;\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
	"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n"
	"--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: "
	"base64\r\n\r\nYWIA/w==\r\n"
	"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nside\r\n--b--\r\n",
	"\r\n",
	"\r\nno header\r\n",
	"no colon here\r\n\r\nx",
	"Subject: Re: [l] Fwd: a (fwd)\r\nReferences: <1@x> <2@x>\r\nIn-Reply-To: <1@x>\r\n"
	"Message-ID: <3@x>\r\nDate: 1 Jan 70 00:00 EST\r\n\r\nlf only\nbody\n",
	"Subject: =?gb2312?B?1tC5+oHzMQ==?= =?gb2312?Q?=D6?= =?gb2312?Q?=D0?=\r\n"
	"From: =?GB18030?B?1tDO?=\r\n <a@\xd6\xd0>\r\nContent-Type: text/plain; charset=gb2312\r\n"
	"Content-Transfer-Encoding: 8bit\r\n\r\n\xd6\xd0\xb9\xfa\x84\x31\xa4\x39 text\r\n",
	"Subject: \xff\xfe raw \xe4\r\nFrom: \xe4 <\xe4@\xe4>\r\nTo: group: a@b, \"c\\\"d\" <e@f>;, g@h\r\n"
	"Cc: open: a@b\r\nBcc: ;\r\nReply-To: @r,@s:t@u\r\nSender: \"\\\\\" <nodomain>\r\n"
	"Message-ID: <>\r\nDate: never\r\n\r\n\xff\xfe",
	"Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\r\none\r\n--b\r\n"
	"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n"
	"Content-Type: multipart/alternative; boundary=\"c d\"\r\n\r\n--c d\r\n\r\nx\r\n--c d\r\n"
	"Content-Type: text/html; charset=\"\"\r\nContent-Language: en, de\r\nContent-Location: here\r\n"
	"Content-MD5: m\r\nContent-Disposition: attachment; filename*=utf-8''%e4%bd%a0; x\r\n"
	"Content-ID: <i>\r\nContent-Description: \"d\r\n\r\ny\r\n--c d--\r\n--b\r\nContent-Type: "
	"image/png\r\n"
	"Content-Transfer-Encoding: base64 (c)\r\n\r\nAAAA\r\n--b--\r\npost",
	"Content-Type: multipart/mixed; boundary=b\r\n\r\nno part at all\r\n",
	"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: "
	"d1\r\n\r\nx\r\n--b\r\n\r\n--b--\r\n",
	"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: "
	"base64\r\n\r\nU3ViamVjdDogeA0KDQp5DQo=\r\n",
	"Content-Type: message/global\r\n\r\nSubject: \xc3\xa4\r\n\r\nx\r\n",
	"Content-Type: a/b; =; x=; \"y\"=z; n*1=b; n*0=a; n*2*=%41\r\nContent-Transfer-Encoding: "
	"x-u\r\n\r\nx\r\n",
	"Subject: =?iso-2022-jp?B?GyRCJDM=?= =?iso-2022-jp?B?JHM=?=\r\n"
	"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B$3$s\x1b(B\r\n",
	"Content-Type: text/html\r\nContent-Transfer-Encoding: "
	"quoted-printable\r\n\r\n<p>=00=01=ff&amp;&#x1f600;<b=\r\n",
};

/* Those that are easier built than written. */
static void fuzz_built(unsigned which, struct buf *out)
{
	switch (which) {
	case 0:
		for (int i = 0; i < 60; i++)
			buf_addz(out, "Content-Type: message/rfc822\r\n\r\n");
		break;
	case 1:
		for (int i = 0; i < 60; i++)
			buf_addf(out, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
		break;
	case 2:
		buf_addz(out, "From: ");
		for (int i = 0; i < 100; i++)
			buf_addf(out, "n%d <a%d@b>, ", i, i);
		break;
	case 3:
		buf_addz(out, "Subject:");
		for (int i = 0; i < 500; i++)
			buf_addz(out, i % 10 ? " long" : "\r\n\tlong");
		break;
	default:
		buf_addz(out, "X-Many: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n");
		for (int i = 0; i < 60; i++)
			buf_addz(out, "--b\r\n\r\nx\r\n");
		break;
	}
	buf_addz(out, "\r\n\r\nx\r\n");
}

#define FUZZ_BUILT    5
#define FUZZ_MESSAGES (COUNT_OF(fuzz_messages) + FUZZ_BUILT)

static void fuzz_template(struct fuzz_world *w)
{
	static const slice keywords[] = {SLICE_INIT("$Forwarded"), SLICE_INIT("custom")};
	struct append_message m[FUZZ_MESSAGES];
	struct buf texts[FUZZ_MESSAGES], summaries[FUZZ_MESSAGES];
	uint32_t domain;
	err e = {0};

	fuzz_must(domain_add(w->store, S("fuzz.test"), &domain, &e));
	fuzz_must(account_add(w->store, S("template"), S("fuzz.test"), NULL, &w->template_account, &e));
	for (size_t i = 0; i < FUZZ_MESSAGES; i++) {
		texts[i] = BUF_INIT(1 << 20);
		if (i < COUNT_OF(fuzz_messages))
			buf_addz(&texts[i], fuzz_messages[i]);
		else
			fuzz_built((unsigned)(i - COUNT_OF(fuzz_messages)), &texts[i]);
		summaries[i] = BUF_INIT(1 << 20);
		fuzz_must(mail_summary_make(buf_slice(&texts[i]), &summaries[i], &e));
		m[i] = (struct append_message){
			.content = {.bytes = buf_slice(&texts[i]), .size = (uint32_t)texts[i].n},
			.summary = buf_slice(&summaries[i]),
			.flags = (uint8_t)(i % 32),
			.keywords = keywords,
			.n_keywords = i % 3,
			.internal_us = (int64_t)i * 1000000000};
	}
	struct append a = {
		.account = w->template_account, .mailbox = MAILBOX_INBOX, .messages = m, .n = FUZZ_MESSAGES};
	fuzz_must(mailbox_append(w->store, w->codec, &a, &e));
	for (size_t i = 0; i < FUZZ_MESSAGES; i++) {
		buf_free(&texts[i]);
		buf_free(&summaries[i]);
	}
}

/* ---- the store ---- */

static void fuzz_world_end(struct fuzz_world *w)
{
	mailbox_codec_free(w->codec);
	store_close(w->store);
	watchers_free(w->watchers);
	loop_free(w->loop);
	*w = (struct fuzz_world){0};
}

static void fuzz_world_begin(struct fuzz_world *w)
{
	char dir[64];
	err e = {0};

	/* In memory where there is such a folder: nothing here tests that it is durable. */
	snprintf(dir, sizeof dir, "/dev/shm/posthouse-fuzz-XXXXXX");
	if (!mkdtemp(dir)) {
		snprintf(dir, sizeof dir, "/tmp/posthouse-fuzz-XXXXXX");
		if (!mkdtemp(dir))
			abort();
	}
	w->loop = loop_new("fuzz");
	w->watchers = watchers_new();
	if (!w->loop || !w->watchers)
		abort();
	w->watch_loop = watchers_add_loop(w->watchers, w->loop);
	struct store_config c = {.dir = dir,
		.engine = &kv_memory,
		.volume_bytes = 256 << 20,
		.step_bytes = 1 << 20,
		.on_group = watchers_on_group,
		.arg = w->watchers};
	fuzz_must(store_open(&c, &w->store, &e));
	fuzz_must(store_start(w->store, &e));
	fuzz_remove_files(dir); /* what is open stays open; nothing is left behind, whatever happens */
	w->codec = mailbox_codec_new();
	if (!w->codec || !w->watch_loop)
		abort();
}

/* Before the loop runs; one a process. */
static struct fuzz_world *fuzz_the_world(void)
{
	static struct fuzz_world w;

	if (w.store && w.inputs >= FUZZ_INPUTS_MAX)
		fuzz_world_end(&w);
	if (!w.store)
		fuzz_world_begin(&w);
	return &w;
}

static void fuzz_copy(struct fuzz_world *w, uint32_t account, uint32_t mailbox, uint32_t first, uint32_t last)
{
	struct uidset uids = {0};
	err e = {0};

	fuzz_must(uidset_add_range(&uids, first, last));
	struct copy c = {.account = w->template_account,
		.mailbox = MAILBOX_INBOX,
		.to_account = account,
		.to_mailbox = mailbox,
		.uids = &uids};
	fuzz_must(mailbox_copy(w->store, &c, &e));
	uidset_free(&c.ret_source);
	uidset_free(&c.ret_dest);
	uidset_free(&uids);
}

/* PARKS. An account for one input; with folders when they are wanted, else with INBOX only. */
static uint32_t fuzz_account(struct fuzz_world *w, bool folders)
{
	static const struct {
		slice path;
		enum mailbox_use use;
		uint32_t first, last;
	} boxes[] = {
		{SLICE_INIT("box"), USE_NONE, 1, 4},
		{SLICE_INIT("box/child"), USE_ARCHIVE, 7, 8},
		{SLICE_INIT("\xe5\x8f\xb0\xe5\x8c\x97"), USE_SENT, 0, 0},
	};
	char name[32];
	uint32_t account, id, uidvalidity;
	err e = {0};

	if (w->template_account == 0)
		fuzz_template(w);
	snprintf(name, sizeof name, "u%u", w->inputs++);
	fuzz_must(account_add(w->store, slice_of(name), S("fuzz.test"), NULL, &account, &e));
	fuzz_copy(w, account, MAILBOX_INBOX, 1, FUZZ_MESSAGES);
	for (size_t i = 0; folders && i < COUNT_OF(boxes); i++) {
		fuzz_must(mailbox_create(
			w->store, account, 0, boxes[i].path, boxes[i].use, &id, &uidvalidity, &e));
		if (boxes[i].first)
			fuzz_copy(w, account, id, boxes[i].first, boxes[i].last);
	}
	return account;
}
