/*
 * Log events: one event a line on stderr, logfmt or JSON, with a journal priority in front when asked for.
 *
 *   log_event(LOG_INFO, "message_received", F_STR("queue_id", id), F_SLICE("from", from), F_U64("size", n));
 *
 * Bytes of users are escaped here, at the sink: control characters, quotes, invalid UTF-8 and bidi controls.
 * A line is at most 4 KiB; a field is cut at 512 bytes. Never parks; a full pipe drops the line and counts
 * it.
 */
#pragma once
#include "base/err.h"
#include "base/slice.h"

enum log_level { LOG_ERROR = 3, LOG_WARN = 4, LOG_NOTICE = 5, LOG_INFO = 6, LOG_DEBUG = 7 };

struct log_field {
	const char *name;
	enum { LOG_FIELD_SLICE, LOG_FIELD_U64, LOG_FIELD_I64 } type;
	slice text;
	uint64_t num;
};

#define F_SLICE(name, s) ((struct log_field){(name), LOG_FIELD_SLICE, (s), 0})
#define F_STR(name, z)   ((struct log_field){(name), LOG_FIELD_SLICE, slice_of(z), 0})
#define F_U64(name, v)   ((struct log_field){(name), LOG_FIELD_U64, {0, 0}, (uint64_t)(v)})
#define F_I64(name, v)   ((struct log_field){(name), LOG_FIELD_I64, {0, 0}, (uint64_t)(int64_t)(v)})
#define F_ERR(e)         F_STR("error", (e)->text), F_STR("at", (e)->where ? (e)->where : "")

#define log_event(level, event, ...)                                                                         \
	do {                                                                                                 \
		if (log_wanted(level)) {                                                                     \
			const struct log_field log_fields_[] = {__VA_ARGS__};                                \
			log_emit((level), (event), log_fields_, sizeof log_fields_ / sizeof *log_fields_);   \
		}                                                                                            \
	} while (0)

enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

/* Once at start and again at a reload. role: a string that lives for ever. */
void log_setup(const char *role, enum log_level max, enum log_format format, bool journal_prefix);
bool log_wanted(enum log_level level);
void log_emit(enum log_level level, const char *event, const struct log_field *fields, size_t n);
