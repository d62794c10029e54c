/* What the files of the supervisor share. */
#pragma once
#include "io/loop.h"
#include "io/messages.h"
#include "io/sandbox.h"
#include "roles/common/role.h"
#include "roles/supervisor/supervisor.h"
#include <limits.h>
#include <uv.h>

#define CHILDREN_MAX 24
#define PORTS_MAX    64
#define CHAIN_MAX    49152
#define START_MS     10000 /* a role that is not up by then is ended and started again */

extern const struct sandbox supervisor_sandbox;

struct child {
	struct supervisor *s;
	enum role role;
	uint8_t instance;
	pid_t pid; /* 0: none */
	struct channel *channel;
	bool up;             /* answered its first question: others may be joined to it */
	bool wired;          /* has all it needs */
	uint64_t order;      /* of coming up: who comes second makes the pair */
	uint64_t generation; /* of the settings it has */
	bool ended;
	int status;
	unsigned restarts;
	uint64_t started_ms;
	struct fiber *keeper; /* NULL: has ended */
	struct fiber_signal changed;
};

struct port {
	uint32_t id;
	struct settings_listen at;
	int fd;
};

struct supervisor {
	struct loop *loop;
	struct config config;
	const struct supervisor_options *options;
	struct child children[CHILDREN_MAX];
	size_t children_n;
	struct port ports[PORTS_MAX];
	size_t ports_n;
	uint32_t next_port;
	char chain[CHAIN_MAX];
	size_t chain_n;
	bool chain_ready, self_signed;
	uint64_t orders; /* children that came up so far */
	unsigned visitors;
	struct fiber_signal changed; /* a child or the chain */
	int data_fd, run_fd, empty_fd, store_fd, auth_fd;
	char libexec[SUPERVISOR_LIBEXEC];
	char hosts[2048];
	gid_t control_gid;
	bool ready, stopping, control_open;
	int exit_code;
	uv_signal_t on_term, on_int, on_hup, on_child;
	struct fiber *stopper, *reloader;
	struct sandbox_status sandbox;
	uint64_t started_ms;
	channel_handler *handlers[MESSAGE_COUNT];
};

/* folders.c: the folders with their owners, and the lock on the run folder; before anything else. */
int supervisor_folders(struct supervisor *s, err *e);

/* ports.c: sockets for what the settings say. new_ports opens what is not open yet, into s->ports. */
int supervisor_ports_open(struct supervisor *s, const struct settings *settings, err *e);
/* Closes what the settings no longer name; tells the frontends. */
PARKS void supervisor_ports_prune(struct supervisor *s, const struct settings *settings);
int supervisor_control_open(struct supervisor *s, err *e);

/* children.c */
void supervisor_children_start(struct supervisor *s);
PARKS void supervisor_stop(struct supervisor *s);
void supervisor_child_ended(struct supervisor *s, pid_t pid, int status);
struct child *supervisor_child(struct supervisor *s, enum role role, uint8_t instance);

/* supervisor.c: the names of a self-signed certificate. */
void supervisor_note_hosts(struct supervisor *s, const struct settings *c);

/* wire.c: what a child gets when it is up. 0 or -1. */
PARKS int supervisor_wire(struct child *c, err *e);
/* Asks auth for the key and gives the chain to all frontends that are up. */
PARKS int supervisor_load_key(struct supervisor *s, const struct settings *settings, err *e);
PARKS int supervisor_give_port(struct child *frontend, const struct port *p, err *e);
PARKS int supervisor_give_chain(struct child *frontend, err *e);

/* reload.c */
/* Settings that came into force while the child was starting. */
PARKS int supervisor_catch_up(struct child *c, err *e);
PARKS void supervisor_reload(struct supervisor *s);

/* status.c */
void supervisor_handlers(struct supervisor *s);
