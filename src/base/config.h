/*
 * The configuration file: words, blocks, comments, includes.
 *
 *   host mail.example.com
 *   listen imaps 127.0.0.1:993
 *   limits {                      # the same as: limits message 25MB
 *       message 25MB
 *   }
 *   include conf.d/more.conf      # may hold * and ? in its last part
 *
 * A statement ends with its line, with `;` or before `}`. Quotes hold blanks and `#`; `\"` and `\\` inside.
 * All or nothing: with one error there are no settings, and every error (up to LIMIT_CONFIG_ERRORS) is
 * reported with file, line, column, the line with a caret, and the nearest known word.
 */
#pragma once
#include "base/settings.h"

/* Where texts come from: files in the program, memory in tests and under the fuzzer. */
struct config_source {
	/* The whole text of a file, from the arena. 0 or -1 with a sentence. */
	int (*read)(void *arg, slice path, struct arena *a, slice *ret_text, err *e);
	/*
	 * The paths that match folder "/" pattern, where * and ? stand in pattern alone, in byte order. At
	 * most max; returns their number or -1.
	 */
	int (*match)(void *arg, slice folder, slice pattern, struct arena *a, slice *ret, size_t max, err *e);
	void *arg;
};

struct config_origin { /* where a value was set; file.n 0: nowhere, the default holds */
	slice file;
	uint32_t line;
};

struct config {
	struct settings *settings; /* taken out by setting it to NULL before config_free */
	struct config_origin origins[SETTING_COUNT];
	struct config_origin *listens; /* one for each of settings->listens */
	bool listens_default;          /* no `listen` in the file: the standard ones */
};

/*
 * Reads path and what it includes through the source. 0, or -1 with the whole report for a person in
 * *ret_report (which the caller made with a max; 64 KiB is plenty). Origins live as long as the settings.
 * Blocks as the source does.
 */
MUST_USE int config_parse(
	const struct config_source *source, slice path, struct config *ret, struct buf *ret_report);
/* The same with files of the system. Missing host: the system's own name. */
MUST_USE int config_load(const char *path, struct config *ret, struct buf *ret_report);
/* As config_load of an empty file that stands in folder: all defaults. */
MUST_USE int config_defaults(struct config *ret, struct buf *ret_report);
void config_free(struct config *c);

struct config_change {
	slice name, before, after; /* valid during the call; before or after is empty for what came or went */
	bool restart;              /* takes effect only after a restart */
	unsigned roles;            /* enum setting_role bits: who uses it */
};
/* Calls see for each difference; returns their number. */
size_t config_diff(const struct settings *before, const struct settings *after,
	void (*see)(void *arg, const struct config_change *), void *arg);

/* ---- the two halves of config_parse, for tests ---- */

struct config_word {
	slice text;
	uint32_t line, column; /* from 1; columns count characters */
	uint32_t at;           /* offset in the file's text, and the length there, quotes included */
	uint32_t length;
};

struct config_node { /* a statement */
	struct config_word *words;
	size_t words_n;
	bool block; /* `{` followed; children may be NULL all the same */
	struct config_node *children, *next, *parent;
};

struct config_mistake {
	uint32_t line, column, at, length;
	char text[160];
};
/* Words and blocks of one text. 0, or -1 with *ret_mistake. Not recursive. */
MUST_USE int config_tree(
	slice text, struct arena *a, struct config_node **ret, struct config_mistake *ret_mistake);
