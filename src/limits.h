/*
 * Every limit of the program with its reason. A limit that an owner may wish to move is a setting
 * (base/settings.def); what stands here protects the program itself.
 */
#pragma once
#include_next <limits.h> /* this folder is searched first: <limits.h> means both */
#undef MB_LEN_MAX        /* gcc's header cannot reach glibc's past this folder, and stdlib.h checks it */
#define MB_LEN_MAX 16

/* io */
#define LIMIT_FIBER_STACK     65536 /* measured worst: RSA-2048 handshake 17 KiB; twice over and a guard page */
#define LIMIT_STREAM_BUFFER   16384 /* read buffer of a stream while in use; given back when parked empty */
#define LIMIT_CHANNEL_MESSAGE 65536 /* one message between roles, SOCK_SEQPACKET */
#define LIMIT_CHANNEL_INLINE  32768 /* content up to here goes inline, above as a sealed memfd */
#define LIMIT_CHANNEL_CREDITS 512   /* questions under way on one channel; the next waits for an answer */
#define LIMIT_FIBERS          30000 /* two mappings a stack where guards need mprotect; vm.max_map_count is 65,530 */
#define LIMIT_TLS_CERTS                                                                                      \
	64 /* certificates of one TLS context; the name of a ClientHello is compared with each */

#define LIMIT_CLOSE_MS 5000 /* what a closing connection may take to swallow the last words */

/* store */
#define LIMIT_BLOB_INLINE  1048576  /* larger blobs are files of their own: a group stays small in memory */
#define LIMIT_GROUP_BYTES  16777216 /* a group is closed at this size: the longest flush stays under p99 */
#define LIMIT_GROUP_COUNT  512      /* intents a group */
#define LIMIT_BATCH_ANSWER 1024     /* bytes kept for a repeated question */

/* mail */
#define LIMIT_MAIL_LOCAL      64       /* local part, octets: RFC 5321 4.5.3.1.1 */
#define LIMIT_MAIL_DOMAIN     255      /* domain, octets: RFC 5321 4.5.3.1.2 */
#define LIMIT_MAIL_PATH       256      /* path with its brackets: RFC 5321 4.5.3.1.3 */
#define LIMIT_MAIL_ADDRESSES  10000    /* in one field, in one envelope: a reply stays bounded */
#define LIMIT_MAIL_HEADER     10485760 /* bytes of one header section */
#define LIMIT_MAIL_PARAMS     64       /* parameters of one field: RFC 2231 joining stays cheap */
#define LIMIT_MAIL_BOUNDARY   200      /* octets; RFC 2046 5.1.1 allows 70 */
#define LIMIT_MAIL_DEPTH      100      /* MIME nesting */
#define LIMIT_MAIL_PARTS      1000     /* MIME parts a message */
#define LIMIT_MAIL_FIELD      262144   /* bytes kept of one header field */
#define LIMIT_MAIL_TEXT       393216   /* bytes of header text kept a message, all parts together */
#define LIMIT_MAIL_SUMMARY    1048576  /* bytes of a message summary */
#define LIMIT_MAIL_PREVIEW    200      /* characters: RFC 8970 4 */
#define LIMIT_DSN_HEADER      65536    /* bytes of the original's header that a report returns */
#define LIMIT_MAIL_LIST_DEPTH 256      /* parentheses of a body structure: two a MIME level and some */

/* settings and the configuration file */
#define LIMIT_SETTINGS_ARENA   4194304 /* a snapshot with all lists full */
#define LIMIT_SETTINGS_BYTES   1048576 /* the same on the wire */
#define LIMIT_SETTINGS_LISTENS 64
#define LIMIT_SETTINGS_DOMAINS 4096     /* more belong into the store */
#define LIMIT_SOCKET_PATH      107      /* sun_path without its NUL, unix(7) */
#define LIMIT_CONFIG_ARENA     33554432 /* all trees of one reading */
#define LIMIT_CONFIG_FILE      1048576  /* bytes of one file */
#define LIMIT_CONFIG_FILES     64       /* the file and all it includes */
#define LIMIT_CONFIG_INCLUDES  8        /* depth of include */
#define LIMIT_CONFIG_DEPTH     8        /* depth of blocks */
#define LIMIT_CONFIG_WORD      1024     /* bytes of a word */
#define LIMIT_CONFIG_WORDS     64       /* words of a statement */
#define LIMIT_CONFIG_ERRORS    20       /* mistakes reported at once */

/* mailbox */
#define LIMIT_MAILBOX_NAME   200   /* bytes of one level: with its parent it is a key, KV_KEY_MAX */
#define LIMIT_MAILBOX_DEPTH  32    /* levels of a path */
#define LIMIT_MAILBOX_PATH   1024  /* bytes of a whole path */
#define LIMIT_MAILBOXES      10000 /* an account; a list of all is built in memory */
#define LIMIT_METADATA_NAME  255   /* bytes of a metadata name: in a key, KV_KEY_MAX */
#define LIMIT_METADATA_VALUE 16384 /* bytes; RFC 5464 4.1 asks for 1,024 */
#define LIMIT_METADATA_ENTRIES                                                                               \
	100 /* shared ones, or one person's, of a mailbox; RFC 5464 4.1 asks for 10. Setting one counts them \
	     */
#define LIMIT_METADATA_BYTES  4194304 /* names and values of an account */
#define LIMIT_METADATA_GUESTS 1000    /* what other accounts keep at its mailboxes, */
#define LIMIT_METADATA_GUEST_BYTES                                                                           \
	1048576                      /* counted by itself, so that they do not use up the owner's room */
#define LIMIT_KEYWORD        64      /* bytes of a keyword's name */
#define LIMIT_KEYWORDS_BYTES 1400    /* all names of a mailbox: its row stays under half a page */
#define LIMIT_SUMMARY        1048576 /* LIMIT_MAIL_SUMMARY: what mail/ makes of any message is stored */
#define LIMIT_ALIAS_TARGETS  50      /* targets of one alias: its row stays under a few pages */
#define LIMIT_ALIAS_OWNERS   20
#define LIMIT_LOCALPART      64 /* RFC 5321 4.5.3.1.1 */
#define LIMIT_LOGIN_NAMES                                                                                    \
	256 /* accounts kept of one bare log-in name: all that matters is one or several                     \
	     */
#define LIMIT_LANGUAGE        35  /* BCP 47 4.4.1 */
#define LIMIT_DISPLAY_NAME    200 /* bytes; it stands in the account row, written at each delivery */
#define LIMIT_INTENT_BLOCKS   256 /* entry blocks one intent changes: some 10 ms, deliveries wait behind it */
#define LIMIT_INTENT_MESSAGES 1024 /* message rows one intent changes: some 12 ms of the commit thread */
#define LIMIT_APPEND_MESSAGES 100  /* messages of one APPEND (MULTIAPPEND) */
#define LIMIT_MESSAGE_ENTRIES                                                                                \
	100 /* mailboxes that share one message row; the next copy gets a row of its own */
#define LIMIT_EXPUNGED_DAYS  30      /* expunged messages can be restored so long */
#define LIMIT_CHANGE_DAYS    90      /* change rows are kept so long, QRESYNC (RFC 7162) */
#define LIMIT_CHANGES        1000000 /* or so many an account */
#define LIMIT_SWEEP_ACCOUNTS 256     /* accounts one step of the sweep looks at */
#define LIMIT_GRANTS         50      /* grantees of one mailbox; a new child takes over all of them */
#define LIMIT_SHARES         1000    /* mailboxes of one account that it shares with one other */
#define LIMIT_SHARES_ANYONE  100     /* and with anyone: they stand in everybody's LIST */
#define LIMIT_SHARED_ANYONE  1000    /* mailboxes of all accounts that are shared with anyone */
#define LIMIT_SHARED         10000   /* mailboxes of others looked at for one LIST: LIMIT_MAILBOXES */
#define LIMIT_FOLLOWS        1000    /* subscriptions of an account to mailboxes of others */

/* delivery */
#define LIMIT_RECIPIENTS       1000 /* of one message; RFC 5321 4.5.3.1.8 asks for at least 100 */
#define LIMIT_EXPANDED         2000 /* targets after aliases: one intent's work stays bounded */
#define LIMIT_ALIAS_DEPTH      10   /* alias to alias to ... */
#define LIMIT_ALIAS_VISITS     100  /* aliases followed for one recipient */
#define LIMIT_DELIVERED_TO     50   /* Delivered-To fields looked at: more hops than any honest way has */
#define LIMIT_QUEUE_ROWS       3000 /* of one message: LIMIT_EXPANDED targets and LIMIT_RECIPIENTS of their own */
#define LIMIT_QUEUE_REPLY      512 /* bytes kept of a remote server's last reply */
#define LIMIT_DELIVERY_ID_DAYS 30  /* how long a delivery id of a retry is remembered (D6) */

/* imap */
#define LIMIT_IMAP_LOGIN_ARENA 24576 /* all memory of a command before login: R-SEC-6 */
#define LIMIT_IMAP_LOGIN_LINE  8192  /* text of a command before login */
#define LIMIT_IMAP_LOGIN_LITERAL                                                                             \
	8192 /* RFC 7888 4 lets clients send 4096 unasked; names and secrets are far shorter */
#define LIMIT_IMAP_LOGIN_PARTS   8      /* literals of a command before login */
#define LIMIT_IMAP_LOGIN_MS      180000 /* from connecting to a good login */
#define LIMIT_IMAP_LOGIN_WAIT_MS 60000  /* silence before login */
#define LIMIT_IMAP_TAG           100    /* bytes of a tag; it goes through a channel with the session */
#define LIMIT_IMAP_LINE          65536 /* text of a command, literals not counted; RFC 7162 4 asks for 8192 */
#define LIMIT_IMAP_LITERAL       65536 /* a literal that is an argument (APPEND's message is streamed) */
#define LIMIT_IMAP_PARTS         1000  /* literals of a command */
#define LIMIT_IMAP_ARENA                                                                                     \
	4194304 /* memory of a command: a line of 65,536 bytes parses to at most some 3 MiB */
#define LIMIT_IMAP_SKIP       67108864 /* bytes of a refused literal that are read over before the session ends */
#define LIMIT_IMAP_DEPTH      50       /* parentheses and NOTs of SEARCH */
#define LIMIT_IMAP_WALK_ARENA 4194304 /* summaries a FETCH or SEARCH has in hand; one may be 1 MiB */
#define LIMIT_IMAP_HEADER     1048576 /* bytes of a header that HEADER.FIELDS and SEARCH HEADER look at */
#define LIMIT_IMAP_RESYNC_ROWS                                                                               \
	16384 /* change rows read for QRESYNC and CHANGEDSINCE, some 2 ms; past that the blocks tell */
#define LIMIT_IMAP_RESYNC_RANGES 65536     /* UID ranges taken from them */
#define LIMIT_IMAP_ORDER         268435456 /* keys of one SORT: 1,000,000 messages take some 100 MiB */
#define LIMIT_IMAP_THREAD                                                                                    \
	4000000 /* messages and ids that THREAD has at once: some 400 MiB at most, 12 MiB for 100,000 */
#define LIMIT_IMAP_SOURCES                                                                                   \
	1000 /* mailboxes named by one ESEARCH; all of an account are looked at for each                     \
	      */
#define LIMIT_IMAP_DIGESTS       4194304 /* digests made that wait to be kept: a block's and some */
#define LIMIT_IMAP_NOTIFY        131072  /* bytes that a session keeps of what NOTIFY asked for */
#define LIMIT_IMAP_NOTIFY_OWNERS 16      /* accounts of others that a session follows: some 80 bytes each */
#define LIMIT_IMAP_NOTIFY_BLOCK  4194304 /* names of a block of changes, while they are told */
#define LIMIT_IMAP_NOTIFY_ROWS                                                                               \
	65536 /* changes told at once: some 20 ms to read; more is NOTIFICATIONOVERFLOW */
#define LIMIT_IMAP_SORT_TEXT   1000  /* bytes of a text that SORT compares */
#define LIMIT_IMAP_PROGRESS_MS 10000 /* a command that takes longer says so (RFC 9585 4) */
#define LIMIT_IMAP_APPEND_MEMORY                                                                             \
	8388608 /* messages of one MULTIAPPEND that wait in memory; those behind wait in spool files */
#define LIMIT_IMAP_LIST 33554432 /* a list of LIMIT_MAILBOXES and LIMIT_SHARED names */
#define LIMIT_IMAP_NAME 4096     /* bytes of a mailbox name or pattern on the wire; the store takes less */

/* smtp */
#define LIMIT_SMTP_LINE                                                                                      \
	2048 /* command line: 512 (RFC 5321 4.5.3.1.4) and what SIZE, DSN, AUTH= and SMTPUTF8 add */
#define LIMIT_SMTP_AUTH       12288 /* AUTH command and its lines: RFC 4954 3 and 4 */
#define LIMIT_SMTP_REPLY      512   /* reply line with its end: RFC 5321 4.5.3.1.5 */
#define LIMIT_SMTP_RECIPIENTS 10000 /* accepted ones of one transaction; the setting is lower */
#define LIMIT_SMTP_RECIPIENT                                                                                 \
	2048                    /* arena bytes of one: path, ORCPT (RFC 3461 4.2: 500), list while it grows */
#define LIMIT_SMTP_REFUSED 100  /* refused recipients between two messages: more is address guessing */
#define LIMIT_SMTP_LOGINS  5    /* failed log-ins of a session; `auth` has limits over all */
#define LIMIT_SMTP_USER    320  /* bytes of a log-in name: an address */
#define LIMIT_SMTP_SECRET  1024 /* bytes of a password or token */
#define LIMIT_SMTP_ENVID   100  /* RFC 3461 4.4 */
#define LIMIT_SMTP_ORCPT   500  /* RFC 3461 4.2 */
#define LIMIT_SMTP_BY_MIN  10   /* seconds of DELIVERBY (RFC 2852): in less no queue tries and gives up */

/* sasl */
#define LIMIT_SASL_NAME   320 /* bytes of a log-in name: an address */
#define LIMIT_SCRAM_NONCE 128 /* bytes of a client's; they have 18 to 64 */
#define LIMIT_SCRAM_MESSAGE                                                                                  \
	2560 /* a message of SCRAM: two names of 320 bytes, each of them escaped to three */

/* auth */
#define LIMIT_SELFSIGNED_NAMES 100 /* names of a certificate made for a start without any */
#define LIMIT_SECRET                                                                                         \
	1024 /* bytes of a password or token; RFC 4616 sets none, more is an attack on the hash */
#define LIMIT_VERIFIERS       16    /* verifiers of one account: password, app passwords */
#define LIMIT_CREDENTIAL      8192  /* bytes of one account's record */
#define LIMIT_HASH_QUEUE      64    /* checks waiting for a hash: at 33 ms and two threads about a second */
#define LIMIT_HASH_KNOWN      64    /* and as many more for addresses with a recent good log-in */
#define LIMIT_HASH_THREADS    4     /* hashes at once: 19 MiB each */
#define LIMIT_RECENT          16384 /* remembered good and bad secrets, 48 bytes each */
#define LIMIT_TICKETS         4096  /* one-time tickets not yet redeemed; they live a minute */
#define LIMIT_SCRAM_EXCHANGES 1024  /* SCRAM log-ins between their two questions; they live a minute */
#define LIMIT_SCRAM_OF_ONE    64    /* of them from one address (IPv6: one /64), this machine not counted */
#define LIMIT_GUESS_ADDRESSES 16384 /* addresses whose failures are counted */

/* roles */
#define LIMIT_ENVELOPE_RECIPIENTS                                                                            \
	1000 /* the most that `limits recipients` can be set to, LIMIT_RECIPIENTS                            \
	      */
#define LIMIT_CONTENT_MEMORY                                                                                 \
	536870912 /* messages on their way in, of a frontend, in memory files of at most 1 MiB each */
#define LIMIT_SUBMITTERS       65536   /* logged-in submission sessions the backend remembers */
#define LIMIT_SUMMARY_TRANSFER 1310720 /* a summary between roles: LIMIT_MAIL_SUMMARY and room to spare */

/* admin */
#define LIMIT_ADMIN_ARENA    8388608 /* a call's memory: all mailboxes of an account at their limits */
#define LIMIT_ADMIN_DIALOGUE 32000   /* what was said when a route was tried: as much as the message holds */
#define LIMIT_ADMIN_STATUS   65536   /* the supervisor's answer about all roles */
#define LIMIT_ADMIN_TEXT     4096    /* bytes of one parameter */
#define LIMIT_ADMIN_TEXTS    1000    /* texts of one parameter */
#define LIMIT_ADMIN_STRANGER 4096    /* a frame of a local user who may not administer */
#define LIMIT_ADMIN_IDLE_MS  300000  /* silence between two requests */
#define LIMIT_ADMIN_FRAME_MS 30000   /* from the first byte of a frame to its last */
#define LIMIT_PASSWORD       1000    /* bytes; below the 1,024 that a message to `auth` holds */
#define LIMIT_PASSWORD_MIN   8       /* NIST SP 800-63B 5.1.1.2 */

/* queue */
#define LIMIT_EVENTS_LOOK  20000 /* events one step of a trace reads: some 10 ms */
#define LIMIT_LEASE        64    /* parcels of one lease row: a row of 2 KiB */
#define LIMIT_QUEUE_PASSED 5000  /* parcels one load passes over, whose accounts have no room: about 1 ms */
#define LIMIT_QUEUE_LOOK   20000 /* lanes one look over the store reads: some 20 ms */
#define LIMIT_ROUTES       1000  /* all are in memory and looked through for each message */
#define LIMIT_TRANSMIT_MEMORY                                                                                \
	268435456           /* bytes of messages on their way out in memory files; the next waits */
#define LIMIT_TRANSMITS 480 /* under way at once: below LIMIT_CHANNEL_CREDITS, others ask outbound too */
#define LIMIT_HOST_IDLE_MS                                                                                   \
	5000                    /* a connection kept for the next message; servers close after 10 s or more  \
				 */
#define LIMIT_HOST_MESSAGES 100 /* messages over one connection: some servers count */
#define LIMIT_CONNECTIONS   600 /* open to other servers, idle ones included */

/* smtp client: what a hostile server may cost */
#define LIMIT_SMTP_CLIENT_LINE    4096   /* bytes of a reply line; RFC 5321 4.5.3.1.5 says 512 */
#define LIMIT_SMTP_CLIENT_LINES   100    /* lines of one reply */
#define LIMIT_SMTP_CLIENT_BYTES   65536  /* bytes of one reply */
#define LIMIT_SMTP_CLIENT_STEP_MS 600000 /* of one step, however slowly the server drips */

/* dns */
#define LIMIT_MX_HOSTS     20  /* hosts of one domain that are tried */
#define LIMIT_MX_ADDRESSES 20  /* addresses of one host */
#define LIMIT_DNS_RECORDS  100 /* R-SEC-25 */
#define LIMIT_DNS_PTR      5   /* names of one address that are looked up forward */
#define LIMIT_DNS_ASKED    256 /* questions under way in the resolver role */

/* pop3 */
#define LIMIT_POP3_LINE 1100 /* RFC 2449 4 says 255; PASS may carry a secret of LIMIT_SECRET bytes */
#define LIMIT_POP3_AUTH 4096 /* AUTH PLAIN: base64 of two names and a secret */
#define LIMIT_POP3_USER 320  /* a name: an address */
#define LIMIT_POP3_DOWNGRADE                                                                                 \
	4194304 /* bytes of a message with 8-bit header fields that is turned into 7 bits; it is whole in    \
		   memory */
#define LIMIT_POP3_LOGIN_MS 180000 /* from connecting to a good login */
