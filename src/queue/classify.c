/*
 * One table, looked through from its head: what the large providers and block lists say, then what many
 * servers say, then what the enhanced status means, then the code. A row matches when all it names matches.
 * The words are lower case, as the text is made before it is compared; those of a row must all be in it.
 */
#include "queue/classify.h"
#include "base/cleanup.h"

#define TEXT_MAX 1024 /* bytes of a text that are looked at; a reply's are fewer */
#define ANY      255

struct rule {
	const char *host;  /* the server's name ends so; NULL: any */
	uint16_t code;     /* 4, 5: the class; more: the code itself; 0: any */
	uint8_t status[2]; /* subject and detail; {0, 0}: any, detail ANY: any of the subject */
	const char *words[2];
	enum refusal kind;
	const char *reason, *advice;
};

#define RETRY   REFUSAL_RETRY
#define SLOW    REFUSAL_SLOW
#define GREY    REFUSAL_GREY
#define GIVE_UP REFUSAL_GIVE_UP
#define ALARM   REFUSAL_ALARM

static const char ask_microsoft[] =
	"Microsoft blocks this server's address: ask for its removal at https://sender.office.com and at "
	"https://olcsupport.office.com, or send through a relay.";
static const char ask_google[] = "Google does not trust this server's address or domain yet: check SPF, "
				 "DKIM, DMARC and PTR, and look at "
				 "https://postmaster.google.com.";
static const char ask_yahoo[] = "Yahoo refuses mail of this server's address: see "
				"https://senders.yahooinc.com, and ask for a review there.";
static const char ask_tencent[] = "QQ Mail limits or refuses this server's address or domain: send more "
				  "slowly, check SPF, DKIM and DMARC, "
				  "and see https://postmaster.qq.com; a relay in mainland China helps.";
static const char ask_netease[] =
	"NetEase refuses this server's address: check SPF, DKIM and PTR, see "
	"https://mail.163.com/help/help_spam_16.htm for the code; a relay in mainland China helps.";
static const char ask_alibaba[] = "Alibaba Mail refuses this server's address for its behaviour: send more "
				  "slowly, check SPF and PTR, and ask "
				  "the recipient to allow your domain.";
static const char ask_apple[] =
	"iCloud refuses mail of this server: check SPF, DKIM and DMARC, and write to icloudadmin@apple.com.";
static const char ask_gmx[] =
	"GMX and WEB.DE block this server's address: the page named in the reply tells why and has a form.";
static const char ask_tonline[] = "T-Online takes mail of known servers only: give this server a PTR of your "
				  "own domain and a web page with "
				  "an imprint, then write to tosa@rx.t-online.de.";
static const char ask_orange[] = "Orange blocks this server's address: see https://postmaster.orange.fr, or "
				 "csi.cloudmark.com if it is named.";
static const char ask_comcast[] =
	"Comcast blocks this server's address: ask for its removal at https://spa.xfinity.com/report.";
static const char ask_mailru[] = "Mail.ru blocks this server's address: see https://postmaster.mail.ru.";
static const char ask_spamhaus[] = "This server's address or domain is on a Spamhaus list: see "
				   "https://check.spamhaus.org for which and why. "
				   "Addresses of homes and clouds are on the PBL; send through a relay then.";
static const char ask_barracuda[] = "This server's address is on Barracuda's list: ask for its removal at "
				    "https://www.barracudacentral.org/rbl.";
static const char ask_proofpoint[] =
	"Proofpoint blocks this server's address: ask for its removal at https://ipcheck.proofpoint.com.";
static const char ask_cloudmark[] =
	"Cloudmark blocks this server's address: ask for its removal at https://csi.cloudmark.com/en/reset.";
static const char ask_spamcop[] = "This server's address is on SpamCop's list: see "
				  "https://www.spamcop.net/bl.shtml; it ends by itself a day "
				  "after the last report.";
static const char ask_cisco[] = "Cisco gives this server's address a poor reputation: see "
				"https://talosintelligence.com/reputation_center.";
static const char ask_mimecast[] = "Mimecast does not take mail of this server's network: ask the "
				   "recipient's administrator to allow it, or "
				   "see https://www.mimecast.com/sender-feedback.";
static const char ask_list[] = "This server's address or domain is on a block list, which the reply names: "
			       "look there for the reason and "
			       "how to be removed, or send through a relay.";
static const char set_ptr[] =
	"This server's address has no name in reverse DNS, or the name does not lead back: ask the provider "
	"of the "
	"address to set its PTR record to this server's host name, or send through a relay.";
static const char set_helo[] = "The host name this server greets with does not please: it must exist in DNS "
			       "and lead to its address.";
static const char set_auth[] = "The recipient's server could not verify that the message is ours: check the "
			       "domain's SPF, DKIM and DMARC "
			       "records; for forwarded mail turn on SRS.";
static const char set_sender[] = "The sender's domain does not exist in DNS or takes no mail for the "
				 "recipient's server: check its MX and A "
				 "records.";
static const char set_login[] = "The relay did not accept our log-in: check user and password (QQ, 163 and "
				"Gmail want an app password), and "
				"that SMTP is switched on for the account.";
static const char set_relay_sender[] = "The relay sends only for its own account or for verified addresses: "
				       "set its sender, or verify this one.";
static const char set_tls[] =
	"The recipient's server demands TLS: do not switch it off for this destination.";
static const char be_slow[] =
	"We sent more than the other server takes from us in a short time; it is slowed down by itself.";
static const char not_us[] = "The recipient's server asks a block list through an open resolver and takes "
			     "the error for a listing: its "
			     "administrator must put that right.";

static const struct rule rules[] = {
	/* Microsoft: Outlook.com, Microsoft 365 */
	{NULL, 0, {0}, {"banned sending ip"}, ALARM, "blocked", ask_microsoft},
	{NULL, 0, {0}, {"part of their network is on our block list"}, ALARM, "blocked", ask_microsoft},
	{NULL, 0, {0}, {"(s3140)"}, ALARM, "blocked", ask_microsoft},
	{NULL, 0, {0}, {"(s3150)"}, ALARM, "blocked", ask_microsoft},
	{NULL, 0, {0}, {"traffic not accepted from this ip"}, ALARM, "blocked", ask_microsoft},
	{NULL, 5, {0}, {"access denied", "banned sender"}, ALARM, "blocked", ask_microsoft},
	{NULL, 5, {0}, {"bad outbound sender"}, ALARM, "blocked",
		"Microsoft 365 has locked the sending account: an administrator must release it under "
		"Restricted "
		"entities."},
	{NULL, 5, {0}, {"tenant has exceeded threshold"}, ALARM, "rate",
		"Microsoft 365 has stopped this tenant's mail: see the admin center."},
	{NULL, 0, {0}, {"required authentication level"}, ALARM, "auth", set_auth},
	{NULL, 0, {0}, {"dmarc verification and has a dmarc policy"}, ALARM, "auth", set_auth},
	{NULL, 0, {0}, {"rate limited due to ip reputation"}, SLOW, "rate", ask_microsoft},
	{"outlook.com", 4, {7, ANY}, {"server busy"}, SLOW, "rate", be_slow},
	{"outlook.com", 4, {0}, {"4.7.5"}, SLOW, "rate", be_slow},
	{"outlook.com", 4, {0}, {"4.7.6"}, SLOW, "rate", be_slow},
	{NULL, 4, {0}, {"server busy", "(as"}, SLOW, "rate", be_slow},
	{NULL, 0, {0}, {"maximum number of concurrent"}, SLOW, "rate", be_slow},
	{NULL, 0, {0}, {"queue quota exceeded"}, SLOW, "rate", be_slow},
	{NULL, 0, {2, 122}, {0}, RETRY, "rate", NULL},
	{NULL, 0, {0}, {"exceeded their limit for the number of messages"}, RETRY, "rate", NULL},
	{NULL, 0, {0}, {"recipient address rejected: access denied"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 0, {0}, {"resolver.adr"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 0, {0}, {"recipsizelimit"}, GIVE_UP, "size", NULL},
	{NULL, 0, {0}, {"resolver.rst"}, GIVE_UP, "policy", NULL},

	/* Google */
	{NULL, 0, {0}, {"does not have a ptr record"}, ALARM, "no_ptr", set_ptr},
	{NULL, 0, {0}, {"ptr record setup"}, ALARM, "no_ptr", set_ptr},
	{NULL, 0, {0}, {"regarding ptr records"}, ALARM, "no_ptr", set_ptr},
	{NULL, 0, {0}, {"missing ptr record"}, ALARM, "no_ptr", set_ptr},
	{NULL, 4, {7, 32}, {0}, ALARM, "auth", set_auth},
	{NULL, 0, {0}, {"unauthenticated email"}, ALARM, "auth", set_auth},
	{NULL, 0, {0}, {"sender is unauthenticated"}, ALARM, "auth", set_auth},
	{NULL, 0, {0}, {"fails to pass spf"}, ALARM, "auth", set_auth},
	{NULL, 0, {0}, {"does not have authentication information"}, ALARM, "auth", set_auth},
	{NULL, 0, {0}, {"from: header", "aligned"}, ALARM, "auth", set_auth},
	{NULL, 0, {0}, {"authentication checks failed"}, ALARM, "auth", set_auth},
	{NULL, 0, {0}, {"very low reputation of the sending"}, ALARM, "blocked", ask_google},
	{NULL, 0, {0}, {"unusual rate of"}, SLOW, "rate", ask_google},
	{NULL, 0, {0}, {"unsolicitedratelimiterror"}, SLOW, "rate", ask_google},
	{NULL, 0, {0}, {"not in whitelist for rcpt domain"}, GIVE_UP, "policy", NULL},
	{NULL, 0, {0}, {"tls required for rcpt domain"}, ALARM, "tls", set_tls},
	{NULL, 5, {0}, {"likely unsolicited mail"}, GIVE_UP, "spam", ask_google},
	{NULL, 0, {0}, {"unsolicitedmessageerror"}, GIVE_UP, "spam", ask_google},
	{NULL, 5, {0}, {"nature of the content"}, GIVE_UP, "spam", ask_google},
	{NULL, 5, {0}, {"message is suspicious"}, GIVE_UP, "spam", ask_google},
	{NULL, 0, {0}, {"receiving mail at a rate"}, RETRY, "rate", NULL},
	{NULL, 0, {0}, {"receiving mail too quickly"}, RETRY, "rate", NULL},
	{NULL, 0, {0}, {"sending limit exceeded"}, SLOW, "rate", be_slow},
	{NULL, 0, {0}, {"sending quota exceeded"}, SLOW, "rate", be_slow},
	{NULL, 0, {0}, {"relay limit exceeded"}, SLOW, "rate", be_slow},
	{NULL, 0, {0}, {"multiple destination domains per transaction"}, RETRY, "", NULL},
	{NULL, 0, {0}, {"presents a potential security issue"}, GIVE_UP, "virus", NULL},
	{NULL, 0, {0}, {"blocked because its content presents"}, GIVE_UP, "virus", NULL},
	{NULL, 0, {0}, {"rfc 5322 compliant"}, GIVE_UP, "content", NULL},
	{NULL, 0, {0}, {"multiple addresses in from"}, GIVE_UP, "content", NULL},
	{NULL, 0, {0}, {"email account that you tried to reach", "over quota"}, RETRY, "full", NULL},
	{NULL, 0, {0}, {"email account that you tried to reach", "disabled"}, GIVE_UP, "disabled", NULL},
	{NULL, 0, {0}, {"email account that you tried to reach", "inactive"}, GIVE_UP, "disabled", NULL},

	/* Tencent: QQ Mail, Exmail */
	{NULL, 0, {0}, {"frequency limited"}, SLOW, "rate", ask_tencent},
	{"qq.com", 0, {0}, {"mailbox unavailable or access denied"}, RETRY, "rate", ask_tencent},
	{NULL, 0, {0}, {"mail content denied"}, GIVE_UP, "spam", ask_tencent},
	{NULL, 0, {0}, {"suspected spam"}, ALARM, "blocked", ask_tencent},
	{NULL, 0, {0}, {"suspected bounce attack"}, SLOW, "rate", ask_tencent},
	{NULL, 0, {0}, {"mail is rejected by recipients"}, GIVE_UP, "policy", NULL},
	{NULL, 0, {0}, {"domain may not exist or dns check failed"}, ALARM, "bad_sender", set_sender},
	{"qq.com", 0, {0}, {"sender's domain"}, ALARM, "bad_sender", set_sender},
	{"qq.com", 0, {0}, {"blocked ip"}, ALARM, "blocked", ask_tencent},

	/* NetEase: 163, 126, yeah.net, qiye.163 */
	{NULL, 4, {0}, {"dt:spm"}, GREY, "greylisted", ask_netease},
	{NULL, 5, {0}, {"dt:spm"}, GIVE_UP, "spam", ask_netease},
	{NULL, 0, {0}, {"dt:sum"}, ALARM, "auth",
		"NetEase wants the envelope's sender to be the one of the From field: see the domain's "
		"settings."},
	{NULL, 0, {0}, {"dt:rbl"}, ALARM, "blocked", ask_list},
	{NULL, 0, {0}, {"hl:ipb"}, ALARM, "blocked", ask_netease},
	{NULL, 0, {0}, {"hl:ihu"}, ALARM, "blocked", ask_netease},
	{NULL, 0, {0}, {"hl:icc"}, SLOW, "rate", ask_netease},
	{NULL, 0, {0}, {"hl:ifc"}, SLOW, "rate", ask_netease},
	{NULL, 0, {0}, {"hl:ifq"}, SLOW, "rate", ask_netease},
	{NULL, 0, {0}, {"hl:rep"}, SLOW, "rate", ask_netease},
	{NULL, 0, {0}, {"hl:mep"}, SLOW, "rate", ask_netease},
	{NULL, 0, {0}, {"mi:dmc"}, SLOW, "rate", ask_netease},
	{NULL, 0, {0}, {"mi:cel"}, SLOW, "rate", ask_netease},
	{NULL, 0, {0}, {"mi:ccl"}, SLOW, "rate", ask_netease},
	{NULL, 0, {0}, {"mi:sfq"}, SLOW, "rate", ask_netease},
	{NULL, 0, {0}, {"mi:stc"}, SLOW, "rate", ask_netease},
	{NULL, 0, {0}, {"mi:spf"}, ALARM, "auth", set_auth},
	{NULL, 0, {0}, {"mi:dma"}, ALARM, "auth", set_auth},
	{NULL, 0, {0}, {"mi:nhd"}, ALARM, "helo", set_helo},
	{NULL, 0, {0}, {"mi:imf"}, GIVE_UP, "bad_sender", NULL},
	{NULL, 0, {0}, {"mi:spb"}, ALARM, "blocked", ask_netease},
	{NULL, 0, {0}, {"rp:trc"}, SLOW, "rate", ask_netease},
	{NULL, 0, {0}, {"rp:cel"}, SLOW, "rate", ask_netease},
	{NULL, 0, {0}, {"rp:ccl"}, SLOW, "rate", ask_netease},
	{NULL, 0, {0}, {"rp:drc"}, SLOW, "rate", ask_netease},
	{NULL, 0, {0}, {"rp:qrc"}, SLOW, "rate", ask_netease},
	{NULL, 0, {0}, {"rp:rcl"}, SLOW, "rate", ask_netease},
	{NULL, 0, {0}, {"rp:frl"}, GIVE_UP, "relay", NULL},
	{NULL, 0, {0}, {"wm:bli"}, ALARM, "blocked", ask_netease},
	{NULL, 0, {0}, {"wm:blu"}, ALARM, "blocked", ask_netease},
	{NULL, 0, {0}, {"ip in blacklist"}, ALARM, "blocked", ask_list},
	{NULL, 0, {0}, {"ip is rejected"}, ALARM, "blocked", ask_list},
	{NULL, 0, {0}, {"user has no permission"}, ALARM, "login", set_login},

	/* Alibaba */
	{NULL, 4, {0}, {"reject by behaviour spam"}, SLOW, "rate", ask_alibaba},
	{NULL, 5, {0}, {"reject by behaviour spam"}, ALARM, "blocked", ask_alibaba},
	{NULL, 0, {0}, {"reject by content spam"}, GIVE_UP, "spam", ask_alibaba},
	{NULL, 0, {0}, {"local spam engine"}, GIVE_UP, "spam", ask_alibaba},
	{NULL, 0, {0}, {"achieved the maximum threshold"}, SLOW, "rate", be_slow},

	/* Yahoo, AOL */
	{NULL, 0, {0}, {"permanently deferred"}, ALARM, "blocked", ask_yahoo},
	{NULL, 0, {0}, {"[ts03]"}, ALARM, "blocked", ask_yahoo},
	{NULL, 0, {0}, {"[tss"}, SLOW, "rate", ask_yahoo},
	{NULL, 0, {0}, {"[ts0"}, SLOW, "rate", ask_yahoo},
	{NULL, 0, {0}, {"[ipts"}, SLOW, "rate", ask_yahoo},
	{NULL, 0, {0}, {"temporarily deferred due to"}, SLOW, "rate", be_slow},
	{NULL, 0, {0}, {"[bl2"}, ALARM, "blocked", ask_yahoo},
	{NULL, 0, {0}, {"max message per connection"}, SLOW, "rate", NULL},
	{"yahoodns.net", 5, {7, 9}, {"policy reasons"}, ALARM, "auth", ask_yahoo},
	{NULL, 0, {0}, {"doesn't have a", "account"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"mailbox is disabled"}, GIVE_UP, "disabled", NULL},
	{NULL, 0, {0}, {"disabled or discontinued"}, GIVE_UP, "disabled", NULL},

	/* Apple */
	{NULL, 0, {0}, {"[cs01]"}, GIVE_UP, "spam", ask_apple},
	{NULL, 0, {0}, {"[hm0"}, ALARM, "blocked", ask_apple},
	{NULL, 0, {0}, {"deferred due to excessive volume"}, SLOW, "rate", be_slow},
	{"icloud.com", 4, {7, 1}, {"try again later"}, SLOW, "rate", be_slow},
	{"me.com", 0, {0}, {"not accepting connections"}, SLOW, "rate", ask_apple},

	/* GMX, WEB.DE, mail.com, T-Online, Orange, Comcast and others */
	{NULL, 0, {0}, {"bad dns ptr"}, ALARM, "no_ptr", set_ptr},
	{NULL, 0, {0}, {"nemesis", "listed"}, ALARM, "blocked", ask_gmx},
	{NULL, 4, {0}, {"reject due to policy violations"}, ALARM, "blocked", ask_gmx},
	{NULL, 0, {0}, {"reject due to spf policy"}, ALARM, "auth", set_auth},
	{NULL, 0, {0}, {"a problem occurred", "postmaster"}, ALARM, "blocked", ask_tonline},
	{NULL, 0, {0}, {"too many connections, slow down"}, SLOW, "rate", be_slow},
	{NULL, 0, {0}, {"bloquee pour incident"}, ALARM, "blocked", ask_orange},
	{NULL, 0, {0}, {"destinataire invalide"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 0, {0}, {"recipient account is blocked"}, GIVE_UP, "disabled", NULL},
	{NULL, 0, {0}, {"service refused, please try later"}, SLOW, "rate", ask_orange},
	{"comcast.net", 0, {0}, {"rl0000"}, SLOW, "rate", be_slow},
	{"comcast.net", 0, {0}, {"bl0000"}, ALARM, "blocked", ask_comcast},
	{"comcast.net", 0, {0}, {"bl00"}, ALARM, "blocked", ask_comcast},
	{"comcast.net", 0, {0}, {"es0000"}, ALARM, "blocked", ask_comcast},
	{NULL, 0, {0}, {"too many sessions opened"}, SLOW, "rate", be_slow},
	{NULL, 0, {0}, {"mailbox unallocated"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 0, {0}, {"not our customer"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 0, {0}, {"aup#"}, ALARM, "blocked", ask_list},
	{NULL, 0, {0}, {"sent to too many recipients"}, SLOW, "rate", be_slow},
	{NULL, 0, {0}, {"/notspam/"}, ALARM, "blocked", ask_mailru},
	{NULL, 5, {0}, {"spam message rejected"}, GIVE_UP, "spam", NULL},
	{NULL, 0, {0}, {"service is currently unavailable. please come"}, GREY, "greylisted", NULL},

	/* relays: log-in and sender */
	{NULL, 0, {0}, {"authorized user"}, ALARM, "bad_sender", set_relay_sender},
	{NULL, 0, {0}, {"email address is not verified"}, ALARM, "bad_sender", set_relay_sender},
	{NULL, 0, {0}, {"not allowed to send as"}, ALARM, "bad_sender", set_relay_sender},
	{NULL, 0, {0}, {"sendasdenied"}, ALARM, "bad_sender", set_relay_sender},
	{NULL, 0, {0}, {"sender address rejected: not owned"}, ALARM, "bad_sender", set_relay_sender},
	{NULL, 0, {0}, {"turn on smtp authentication"}, ALARM, "login", set_login},
	{NULL, 5, {0}, {"authentication failed"}, ALARM, "login", set_login},
	{NULL, 5, {0}, {"authentication failure"}, ALARM, "login", set_login},
	{NULL, 5, {0}, {"login fail"}, ALARM, "login", set_login},
	{NULL, 530, {0}, {"authentication required"}, ALARM, "login", set_login},
	{NULL, 4, {0}, {"too many login attempts"}, SLOW, "login", set_login},

	/* block lists and reputation services */
	{NULL, 5, {0}, {"spamhaus.org/returnc"}, GIVE_UP, "policy", not_us},
	{NULL, 5, {0}, {"open resolver", "spamhaus"}, GIVE_UP, "policy", not_us},
	{NULL, 0, {0}, {"spamhaus"}, ALARM, "blocked", ask_spamhaus},
	{NULL, 0, {0}, {"barracudacentral"}, ALARM, "blocked", ask_barracuda},
	{NULL, 0, {0}, {"barracudanetworks.com/reputation"}, ALARM, "blocked", ask_barracuda},
	{NULL, 0, {0}, {"spamcop"}, ALARM, "blocked", ask_spamcop},
	{NULL, 0, {0}, {"ipcheck.proofpoint"}, ALARM, "blocked", ask_proofpoint},
	{NULL, 0, {0}, {"proofpoint.com/dnsbl"}, ALARM, "blocked", ask_proofpoint},
	{NULL, 0, {0}, {"csi.cloudmark.com"}, ALARM, "blocked", ask_cloudmark},
	{NULL, 0, {0}, {"mta's poor reputation"}, ALARM, "blocked", ask_cisco},
	{NULL, 0, {0}, {"senderbase"}, ALARM, "blocked", ask_cisco},
	{NULL, 0, {0}, {"talosintelligence"}, ALARM, "blocked", ask_cisco},
	{NULL, 0, {0}, {"host network not allowed"}, ALARM, "blocked", ask_mimecast},
	{NULL, 0, {0}, {"ips temporarily blacklisted"}, ALARM, "blocked", ask_mimecast},
	{NULL, 0, {0}, {"sorbs"}, ALARM, "blocked", ask_list},
	{NULL, 0, {0}, {"uceprotect"}, ALARM, "blocked", ask_list},
	{NULL, 0, {0}, {"spamrats"}, ALARM, "blocked", ask_list},
	{NULL, 0, {0}, {"dnsbl"}, ALARM, "blocked", ask_list},
	{NULL, 0, {0}, {"blocked using"}, ALARM, "blocked", ask_list},
	{NULL, 0, {0}, {"blocked by", "list"}, ALARM, "blocked", ask_list},
	{NULL, 0, {0}, {"rbl deny"}, ALARM, "blocked", ask_list},
	{NULL, 0, {0}, {"black ip"}, ALARM, "blocked", ask_list},
	{NULL, 0, {0}, {"ip address", "listed"}, ALARM, "blocked", ask_list},
	{NULL, 0, {0}, {"ip address", "block"}, ALARM, "blocked", ask_list},
	{NULL, 0, {0}, {"client host", "block"}, ALARM, "blocked", ask_list},
	{NULL, 0, {0}, {"your ip", "blocked"}, ALARM, "blocked", ask_list},
	{NULL, 0, {0}, {"blacklisted"}, ALARM, "blocked", ask_list},
	{NULL, 0, {0}, {"blocklisted"}, ALARM, "blocked", ask_list},
	{NULL, 0, {0}, {"poor reputation"}, ALARM, "blocked", ask_list},

	/* greylisting */
	{NULL, 4, {0}, {"greylist"}, GREY, "greylisted", NULL},
	{NULL, 4, {0}, {"graylist"}, GREY, "greylisted", NULL},
	{NULL, 4, {0}, {"grey list"}, GREY, "greylisted", NULL},
	{NULL, 4, {0}, {"grey-list"}, GREY, "greylisted", NULL},
	{NULL, 4, {0}, {"postgrey"}, GREY, "greylisted", NULL},
	{NULL, 4, {0}, {"internal resource", "temporarily unavailable"}, GREY, "greylisted", NULL},
	{NULL, 4, {0}, {"unverified address"}, GREY, "greylisted", NULL},
	{NULL, 4, {0}, {"verification in progress"}, GREY, "greylisted", NULL},
	{NULL, 4, {0}, {"first attempt"}, GREY, "greylisted", NULL},
	{NULL, 451, {7, 1}, {"try again later"}, GREY, "greylisted", NULL},
	{NULL, 450, {7, 1}, {"try again later"}, GREY, "greylisted", NULL},

	/* too fast */
	{NULL, 0, {0}, {"ratelimit"}, SLOW, "rate", be_slow},
	{NULL, 0, {0}, {"rate limit"}, SLOW, "rate", be_slow},
	{NULL, 0, {0}, {"rate-limit"}, SLOW, "rate", be_slow},
	{NULL, 0, {0}, {"too many connections"}, SLOW, "rate", be_slow},
	{NULL, 0, {0}, {"too many concurrent"}, SLOW, "rate", be_slow},
	{NULL, 0, {0}, {"too many messages"}, SLOW, "rate", be_slow},
	{NULL, 0, {0}, {"too many mails"}, SLOW, "rate", be_slow},
	{NULL, 0, {0}, {"too many errors"}, SLOW, "rate", NULL},
	{NULL, 0, {0}, {"too frequent"}, SLOW, "rate", be_slow},
	{NULL, 0, {0}, {"throttl"}, SLOW, "rate", be_slow},
	{NULL, 4, {0}, {"slow down"}, SLOW, "rate", be_slow},
	{NULL, 0, {0}, {"too many recipients"}, RETRY, "recipients", NULL},

	/* what the owner must put right in DNS */
	{NULL, 0, {0}, {"reverse dns"}, ALARM, "no_ptr", set_ptr},
	{NULL, 0, {0}, {"cannot find your reverse hostname"}, ALARM, "no_ptr", set_ptr},
	{NULL, 0, {0}, {"cannot find your hostname"}, ALARM, "no_ptr", set_ptr},
	{NULL, 0, {0}, {"ip name lookup failed"}, ALARM, "no_ptr", set_ptr},
	{NULL, 0, {0}, {"rdns"}, ALARM, "no_ptr", set_ptr},
	{NULL, 0, {0}, {"may not be mail exchanger"}, ALARM, "no_ptr", set_ptr},
	{NULL, 0, {0}, {"helo command rejected"}, ALARM, "helo", set_helo},
	{NULL, 0, {0}, {"helohost error"}, ALARM, "helo", set_helo},
	{NULL, 0, {0}, {"dmarc"}, ALARM, "auth", set_auth},
	{NULL, 0, {0}, {"spf"}, ALARM, "auth", set_auth},
	{NULL, 0, {0}, {"dkim"}, ALARM, "auth", set_auth},
	{NULL, 0, {0}, {"mismatches client ip"}, ALARM, "auth", set_auth},
	{NULL, 0, {0}, {"not allowed to send from"}, ALARM, "auth", set_auth},
	{NULL, 0, {0}, {"unauthenticated senders"}, ALARM, "auth", set_auth},
	{NULL, 0, {0}, {"sender address rejected: domain not found"}, ALARM, "bad_sender", set_sender},
	{NULL, 0, {0}, {"domain of sender address", "not exist"}, ALARM, "bad_sender", set_sender},
	{NULL, 5, {0}, {"must issue a starttls"}, ALARM, "tls", set_tls},
	{NULL, 0, {0}, {"encryption required"}, ALARM, "tls", set_tls},

	/* the recipient */
	{NULL, 5, {0}, {"virus"}, GIVE_UP, "virus", NULL}, /* 4xx: the scanner is down */
	{NULL, 4, {0}, {"over quota"}, RETRY, "full", NULL},
	{NULL, 4, {0}, {"quota exceeded"}, RETRY, "full", NULL},
	{NULL, 4, {0}, {"mailbox full"}, RETRY, "full", NULL},
	{NULL, 4, {0}, {"mailbox is full"}, RETRY, "full", NULL},
	{NULL, 4, {0}, {"trouble in home directory"}, RETRY, "full", NULL},
	{NULL, 5, {0}, {"quota"}, GIVE_UP, "full", NULL},
	{NULL, 5, {0}, {"mailbox full"}, GIVE_UP, "full", NULL},
	{NULL, 5, {0}, {"mailbox is full"}, GIVE_UP, "full", NULL},
	{NULL, 5, {0}, {"out of storage"}, GIVE_UP, "full", NULL},
	{NULL, 5, {0}, {"space not enough"}, GIVE_UP, "full", NULL},
	{NULL, 0, {0}, {"temporary locked"}, RETRY, "disabled", NULL},
	{NULL, 5, {0}, {"mailbox disabled"}, GIVE_UP, "disabled", NULL},
	{NULL, 5, {0}, {"account is disabled"}, GIVE_UP, "disabled", NULL},
	{NULL, 5, {0}, {"user disabled"}, GIVE_UP, "disabled", NULL},
	{NULL, 5, {0}, {"user suspended"}, GIVE_UP, "disabled", NULL},
	{NULL, 5, {0}, {"user is locked"}, GIVE_UP, "disabled", NULL},
	{NULL, 5, {0}, {"mailbox is frozen"}, GIVE_UP, "disabled", NULL},
	{NULL, 5, {0}, {"mailbox is inactive"}, GIVE_UP, "disabled", NULL},
	{NULL, 5, {0}, {"inactive email address"}, GIVE_UP, "disabled", NULL},
	{NULL, 5, {0}, {"user unknown"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"unknown user"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"unknown recipient"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"no such user"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"no such recipient"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"no such mailbox"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"user not found"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"user not exist"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"user does not exist"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"user doesn't exist"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"mailbox not found"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"mailbox does not exist"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"account that you tried to reach does not exist"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"invalid mailbox"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"invalid recipient"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"invalid-recipient"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"invalid user"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"recipient not found"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"addressee unknown"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"not in recipient list"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"no longer on server"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"not our user"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"mailbox unavailable"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"#5.1.0 address rejected"}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {0}, {"relay access denied"}, GIVE_UP, "relay", NULL},
	{NULL, 5, {0}, {"relay not permitted"}, GIVE_UP, "relay", NULL},
	{NULL, 5, {0}, {"relaying denied"}, GIVE_UP, "relay", NULL},
	{NULL, 5, {0}, {"unable to relay"}, GIVE_UP, "relay", NULL},
	{NULL, 5, {0}, {"message size exceeds"}, GIVE_UP, "size", NULL},
	{NULL, 5, {0}, {"message too large"}, GIVE_UP, "size", NULL},
	{NULL, 5, {0}, {"message is too l"}, GIVE_UP, "size", NULL},
	{NULL, 5, {0}, {"mailsize limit"}, GIVE_UP, "size", NULL},
	{NULL, 5, {0}, {"message length exceeds"}, GIVE_UP, "size", NULL},
	{NULL, 5, {0}, {"too many hops"}, GIVE_UP, "loop", NULL},
	{NULL, 5, {0}, {"mail loop"}, GIVE_UP, "loop", NULL},
	{NULL, 5, {0}, {"looping message"}, GIVE_UP, "loop", NULL},

	/* the message */
	{NULL, 5, {0}, {"spam"}, GIVE_UP, "spam", NULL},
	{NULL, 5, {0}, {"content rejected"}, GIVE_UP, "spam", NULL},
	{NULL, 5, {0}, {"banned content"}, GIVE_UP, "spam", NULL},
	{NULL, 5, {0}, {"phish"}, GIVE_UP, "spam", NULL},
	{NULL, 5, {0}, {"illegal attachment"}, GIVE_UP, "virus", NULL},
	{NULL, 5, {0}, {"headers are not rfc compliant"}, GIVE_UP, "content", NULL},

	/* the enhanced status: RFC 3463 and its registry */
	{NULL, 4, {1, 1}, {0}, RETRY, "unknown_user", NULL},
	{NULL, 5, {1, 1}, {0}, GIVE_UP, "unknown_user", NULL},
	{NULL, 5, {1, 2}, {0}, GIVE_UP, "host_not_found", NULL},
	{NULL, 5, {1, 3}, {0}, GIVE_UP, "bad_address", NULL},
	{NULL, 5, {1, 6}, {0}, GIVE_UP, "moved", NULL},
	{NULL, 0, {1, 7}, {0}, ALARM, "bad_sender", set_sender},
	{NULL, 0, {1, 8}, {0}, ALARM, "bad_sender", set_sender},
	{NULL, 5, {1, 10}, {0}, GIVE_UP, "null_mx", NULL},
	{NULL, 5, {2, 1}, {0}, GIVE_UP, "disabled", NULL},
	{NULL, 4, {2, 2}, {0}, RETRY, "full", NULL},
	{NULL, 5, {2, 2}, {0}, GIVE_UP, "full", NULL},
	{NULL, 5, {2, 3}, {0}, GIVE_UP, "size", NULL},
	{NULL, 4, {3, 2}, {0}, SLOW, "", NULL},
	{NULL, 5, {3, 4}, {0}, GIVE_UP, "size", NULL},
	{NULL, 4, {4, 5}, {0}, SLOW, "busy", NULL},
	{NULL, 5, {4, 6}, {0}, GIVE_UP, "loop", NULL},
	{NULL, 5, {5, 3}, {0}, RETRY, "recipients", NULL},
	{NULL, 5, {6, 7}, {0}, GIVE_UP, "smtputf8", NULL},
	{NULL, 5, {6, ANY}, {0}, GIVE_UP, "content", NULL},
	{NULL, 5, {7, 8}, {0}, ALARM, "login", set_login},
	{NULL, 5, {7, 9}, {0}, GIVE_UP, "policy", NULL},
	{NULL, 0, {7, 10}, {0}, ALARM, "tls", set_tls},
	{NULL, 0, {7, 20}, {0}, ALARM, "auth", set_auth},
	{NULL, 0, {7, 21}, {0}, ALARM, "auth", set_auth},
	{NULL, 0, {7, 22}, {0}, ALARM, "auth", set_auth},
	{NULL, 0, {7, 23}, {0}, ALARM, "auth", set_auth},
	{NULL, 0, {7, 24}, {0}, ALARM, "auth", set_auth},
	{NULL, 0, {7, 25}, {0}, ALARM, "no_ptr", set_ptr},
	{NULL, 0, {7, 26}, {0}, ALARM, "auth", set_auth},
	{NULL, 0, {7, 27}, {0}, ALARM, "bad_sender", set_sender},
	{NULL, 0, {7, 28}, {0}, SLOW, "rate", be_slow},
	{NULL, 0, {7, 29}, {0}, ALARM, "auth", set_auth},
	{NULL, 5, {7, 30}, {0}, GIVE_UP, "tls", NULL},
	{NULL, 5, {7, ANY}, {0}, GIVE_UP, "policy", NULL},

	/* the code: RFC 5321 4.2.3, 4954 6, 7504 */
	{NULL, 421, {0}, {0}, SLOW, "", NULL},
	{NULL, 4, {0}, {0}, RETRY, "", NULL},
	{NULL, 523, {0}, {0}, GIVE_UP, "size", NULL},
	{NULL, 530, {0}, {0}, ALARM, "login", set_login},
	{NULL, 534, {0}, {0}, ALARM, "login", set_login},
	{NULL, 535, {0}, {0}, ALARM, "login", set_login},
	{NULL, 538, {0}, {0}, ALARM, "login", set_login},
	{NULL, 521, {0}, {0}, GIVE_UP, "null_mx", NULL},
	{NULL, 556, {0}, {0}, GIVE_UP, "null_mx", NULL},
	{NULL, 5, {0}, {0}, GIVE_UP, "", NULL},
};

/* A name, or what stands below it. */
static bool host_fits(slice host, slice want)
{
	if (host.n && host.p[host.n - 1] == '.')
		host.n--;
	return slice_iends(host, want) && (host.n == want.n || host.p[host.n - want.n - 1] == '.');
}

static bool is_word(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}

/* The words in the text, not begun in the middle of another word. */
static bool says(slice text, const char *words)
{
	size_t n = strlen(words);
	while (n <= text.n) {
		const char *at = memmem(text.p, text.n, words, n);
		if (!at)
			return false;
		if (at == text.p || !is_word(*words) || !is_word(at[-1]))
			return true;
		text = slice_skip(text, (size_t)(at - text.p) + 1);
		/* the byte before is a word's, and the cut has put it out of sight: pass the rest of that
		 * word */
		while (text.n && is_word(text.p[0]))
			text = slice_skip(text, 1);
	}
	return false;
}

static bool fits(const struct rule *r, uint16_t code, const uint8_t status[3], slice text, slice host)
{
	if (r->code && r->code != code && r->code != code / 100)
		return false;
	if (r->status[0] && (status[0] == 0 || status[1] != r->status[0] ||
				    (status[2] != r->status[1] && r->status[1] != ANY)))
		return false;
	if (r->host && !host_fits(host, slice_of(r->host)))
		return false;
	for (size_t i = 0; i < COUNT_OF(r->words) && r->words[i]; i++)
		if (!says(text, r->words[i]))
			return false;
	return true;
}

/* Lower case, single blanks, and without addresses: a recipient may have the name of a rule. */
static size_t fold(char out[TEXT_MAX], slice text)
{
	size_t n = 0;
	slice word;
	while (slice_word(&text, &word) && n + word.n + 1 < TEXT_MAX) {
		if (memchr(word.p, '@', word.n))
			continue;
		if (n)
			out[n++] = ' ';
		for (size_t i = 0; i < word.n; i++)
			out[n++] = ascii_lower(word.p[i]);
	}
	return n;
}

struct refusal_found refusal_classify(uint16_t code, const uint8_t status[3], slice text, slice host)
{
	char low[TEXT_MAX];
	size_t n = fold(low, text);
	for (size_t i = 0; code && i < COUNT_OF(rules); i++) {
		const struct rule *r = &rules[i];
		if (fits(r, code, status, slice_make(low, n), host))
			return (struct refusal_found){r->kind, r->reason, r->advice};
	}
	return (struct refusal_found){REFUSAL_RETRY, "", NULL};
}
