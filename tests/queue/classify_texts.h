/* Rows of test_classify.c. bounce: a public collection of bounces (sisimai); manual: a public list of replies
 * (smtp-field-manual, smtp.codes); issue: a public tracker; else whose page it is. */
/* clang-format off */
/* Microsoft */
{MS, 550, {5, 7, 1}, "Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140).", A, "blocked"}, /* hosters' help pages */
{MS, 550, {5, 7, 1}, "Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3150). You can also refer your provider to http://mail.live.com/mail/troubleshooting.aspx#errors.", A, "blocked"}, /* hosters' help pages */
{MS, 550, {0}, "SC-001 (BAY004-MC4F49) Unfortunately, messages from 192.0.2.1 weren't sent. Please contact your Internet service provider since part of their network is on our block list.", A, "blocked"}, /* hosters' help pages */
{MS, 550, {0}, "5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal from this list please visit https://sender.office.com and follow the directions.", A, "blocked"}, /* bounce */
{MS, 550, {0}, "5.7.708 Service unavailable. Access denied, traffic not accepted from this IP. For more information please go to http://go.microsoft.com/fwlink/?LinkId=526653", A, "blocked"}, /* Microsoft: NDR codes */
{MS, 550, {5, 1, 8}, "Access denied, bad outbound sender AS(42003)", A, "blocked"}, /* Microsoft: NDR codes */
{MS, 550, {0}, "5.7.705 Access denied, tenant has exceeded threshold. Please see https://go.microsoft.com/fwlink/?linkid=875724", A, "rate"}, /* Microsoft: NDR codes */
{MS, 550, {0}, "5.7.515 Access denied, sending domain EXAMPLE.ORG doesn't meet the required authentication level.", A, "auth"}, /* bounce */
{MS, 550, {0}, "5.7.509 Access denied, sending domain [EXAMPLE.ORG] does not pass DMARC verification and has a DMARC policy of reject.", A, "auth"}, /* bounce */
{MS, 550, {5, 7, 1}, "Service unavailable, Client host [192.0.2.1] blocked using Spamhaus. To request removal from this list see https://www.spamhaus.org/query/ip/192.0.2.1 (AS16012611)", A, "blocked"}, /* manual */
{MS, 550, {5, 7, 1}, "Service unavailable, MailFrom domain is listed in Spamhaus. To request removal from this list see https://www.spamhaus.org/query/lookup/ (S8002)", A, "blocked"}, /* manual */
{MS, 550, {5, 7, 1}, "Service unavailable, Helo domain is listed in Spamhaus. To request removal from this list see https://www.spamhaus.org/query/lookup/ (S8001)", A, "blocked"}, /* manual */
{MS, 550, {5, 4, 1}, "Recipient address rejected: Access denied. [BL2NAM02FT061.eop-nam02.prod.protection.outlook.com]", X, "unknown_user"}, /* bounce */
{MS, 550, {5, 5, 0}, "Requested action not taken: mailbox unavailable (S2017062302).", X, "unknown_user"}, /* manual */
{MS, 550, {5, 1, 10}, "RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", X, "unknown_user"}, /* bounce */
{MS, 550, {5, 2, 2}, "<bob@example.com>... Mailbox Full", X, "full"}, /* bounce */
{MS, 550, {5, 2, 3}, "RESOLVER.RST.RecipSizeLimit; message too large for this recipient", X, "size"}, /* bounce */
{MS, 550, {5, 7, 1}, "RESOLVER.RST.AuthRequired; authentication required", X, "policy"}, /* bounce */
{MS, 451, {0}, "4.7.500 Server busy. Please try again later from [192.0.2.1]. (AS77712344)", S_, "rate"}, /* manual */
{MS, 451, {0}, "4.7.650 The mail server [192.0.2.25] has been temporarily rate limited due to IP reputation. For e-mail delivery information, see https://postmaster.live.com (S3113)", S_, "rate"}, /* bounce */
{MS, 451, {0}, "4.7.651 The mail server [192.0.2.25] has been temporarily rate limited due to IP reputation. (S775)", S_, "rate"}, /* Microsoft: postmaster */
{MS, 451, {4, 7, 0}, "Temporary server error. Please try again later. PRX4 NextHop: example.com", R, ""}, /* manual */
{MS, 421, {4, 3, 2}, "The maximum number of concurrent connections per resource forest has exceeded a limit, closing transmission channel. PRX8", S_, "rate"}, /* manual */
{MS, 421, {4, 3, 2}, "Service not available", S_, ""}, /* manual */
{MS, 450, {4, 7, 3}, "Organization queue quota exceeded.", S_, "rate"}, /* manual */
{MS, 554, {5, 2, 122}, "The recipient has exceeded their limit for the number of messages they can receive per hour.", R, "rate"}, /* manual */
{MS, 554, {5, 4, 14}, "Hop count exceeded - possible mail loop ATTR34", X, "loop"}, /* bounce */
/* Google */
{GOOGLE, 421, {4, 7, 0}, "[192.0.2.1 15] Our system has detected an unusual rate of unsolicited mail originating from your IP address. To protect our users from spam, mail sent from your IP address has been temporarily rate limited. Please visit https://support.google.com/mail/?p=UnsolicitedRateLimitError", S_, "rate"}, /* issue, mailcow 110 */
{GOOGLE, 421, {4, 7, 28}, "[192.0.2.1] Our system has detected an unusual rate of unsolicited mail originating from your IP address.", S_, "rate"}, /* issue, mailinabox 1771 */
{GOOGLE, 550, {5, 7, 28}, "There is an unusual rate of unsolicited mail originating from your SPF domain [example.org 35].", S_, "rate"}, /* Google: SMTP errors */
{GOOGLE, 421, {4, 7, 32}, "Your email has been rate limited because the From: header (RFC5322) in this message isn't aligned with either the authenticated SPF or DKIM organizational domain.", A, "auth"}, /* Google: SMTP errors */
{GOOGLE, 421, {4, 7, 0}, "IP not in whitelist for RCPT domain, closing connection.", X, "policy"}, /* Google: SMTP errors */
{GOOGLE, 421, {4, 7, 0}, "TLS required for RCPT domain, closing connection.", A, "tls"}, /* Google: SMTP errors */
{GOOGLE, 421, {4, 7, 0}, "[192.0.2.1] Our system has detected that this message is suspicious due to the very low reputation of the sending domain.", A, "blocked"}, /* manual */
{GOOGLE, 550, {5, 7, 1}, "[192.0.2.22 18] Our system has detected that this message is likely suspicious due to the very low reputation of the sending IP address.", A, "blocked"}, /* bounce */
{GOOGLE, 550, {5, 7, 1}, "[192.0.2.1 12] Our system has detected that this message is likely unsolicited mail. To reduce the amount of spam sent to Gmail, this message has been blocked.", X, "spam"}, /* issue, postal 2281 */
{GOOGLE, 550, {5, 7, 26}, "This mail has been blocked because the sender is unauthenticated. Gmail requires all senders to authenticate with either SPF or DKIM.", A, "auth"}, /* bounce */
{GOOGLE, 550, {5, 7, 26}, "Unauthenticated email from example.org is not accepted due to domain's DMARC policy.", A, "auth"}, /* bounce */
{GOOGLE, 550, {5, 7, 26}, "The MAIL FROM domain [mail4.example.com] has an SPF record with a hard fail policy (-all) but it fails to pass SPF checks with the ip: [192.0.2.24].", A, "auth"}, /* bounce */
{GOOGLE, 550, {5, 7, 1}, "This message does not have authentication information or fails to pass authentication checks.", A, "auth"}, /* bounce */
{GOOGLE, 550, {5, 7, 25}, "[192.0.2.202] The IP address sending this message does not have a PTR record setup, or the corresponding forward DNS entry does not point to the sending IP.", A, "no_ptr"}, /* bounce */
{GOOGLE, 550, {5, 7, 1}, "[2001:db8::2] Our system has detected that this message does not meet IPv6 sending guidelines regarding PTR records and authentication.", A, "no_ptr"}, /* issue, nodemailer 236 */
{GOOGLE, 550, {5, 1, 1}, "The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos or unnecessary spaces.", X, "unknown_user"}, /* bounce */
{GOOGLE, 550, {5, 2, 1}, "The email account that you tried to reach is disabled. Learn more at https://support.google.com/mail/?p=DisabledUser", X, "disabled"}, /* bounce */
{GOOGLE, 550, {5, 2, 1}, "The email account that you tried to reach is inactive.", X, "disabled"}, /* bounce */
{GOOGLE, 550, {5, 2, 1}, "The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered.", R, "rate"}, /* bounce */
{GOOGLE, 450, {4, 2, 1}, "The user you are trying to contact is receiving mail too quickly. Please resend your message at a later time.", R, "rate"}, /* Google: SMTP errors */
{GOOGLE, 452, {4, 2, 2}, "The email account that you tried to reach is over quota. Please direct the recipient to https://support.google.com/mail/?p=OverQuotaTemp", R, "full"}, /* Google: SMTP errors */
{GOOGLE, 552, {5, 2, 2}, "The recipient's inbox is out of storage space and inactive.", X, "full"}, /* bounce */
{GOOGLE, 552, {5, 7, 0}, "This message was blocked because its content presents a potential security issue.", X, "virus"}, /* bounce */
{GOOGLE, 550, {5, 7, 1}, "This message is not RFC 5322 compliant. There are multiple Subject headers.", X, "content"}, /* bounce */
{GOOGLE, 550, {5, 4, 5}, "Daily user sending limit exceeded.", S_, "rate"}, /* Google: SMTP errors */
{GOOGLE, 451, {4, 3, 0}, "Multiple destination domains per transaction is unsupported. Please try again.", R, ""}, /* Google: SMTP errors */
{GOOGLE, 421, {4, 4, 5}, "Server busy, try again later.", S_, "busy"}, /* Google: SMTP errors */
{"smtp.gmail.com", 535, {5, 7, 8}, "Username and Password not accepted. Learn more at https://support.google.com/mail/?p=BadCredentials", A, "login"}, /* Google: SMTP errors */
{"smtp.gmail.com", 454, {4, 7, 0}, "Too many login attempts, please try again later.", S_, "login"}, /* Google: SMTP errors */
{"smtp-relay.gmail.com", 550, {5, 7, 1}, "Invalid credentials for relay [192.0.2.1]. The IP address you've registered in your Workspace SMTP Relay service doesn't match domain of the account this email is being sent from.", X, "policy"}, /* Google: SMTP errors */
/* Tencent */
{QQ, 550, {0}, "Connection frequency limited [Q1YzZ3k= Blocked IP 192.0.2.22]. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000722", S_, "rate"}, /* bounce */
{QQ, 550, {0}, "Ip frequency limited [V2VkIEFw Blocked IP 192.0.2.22]. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000725", S_, "rate"}, /* bounce */
{QQ, 550, {0}, "Domain frequency limited. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000724", S_, "rate"}, /* a mailer's help page */
{QQ, 550, {0}, "Sender frequency limited. http://service.exmail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000723", S_, "rate"}, /* smtp.codes */
{QQ, 550, {0}, "Mailbox unavailable or access denied [Mzk= IP: 192.0.2.1]. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000721", R, "rate"}, /* a mailer's help page */
{QQ, 550, {0}, "Mail content denied. http://service.exmail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000726", X, "spam"}, /* smtp.codes */
{QQ, 550, {0}, "Suspected spam sender. http://service.mail.qq.com/cgi-bin/help", A, "blocked"}, /* smtp.codes */
{QQ, 550, {0}, "Mail is rejected by recipients [Mzk= IP: 192.0.2.1]. https://service.mail.qq.com/detail/0/92", X, "policy"}, /* smtp.codes */
{QQ, 550, {0}, "Mailbox not found. http://service.exmail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000728", X, "unknown_user"}, /* smtp.codes */
{QQ, 550, {0}, "DMARC check failed. http://service.mail.qq.com/cgi-bin/help?subtype=1&&no=1001508&&id=16.", A, "auth"}, /* bounce */
{QQ, 550, {0}, "SPF check failed. https://service.mail.qq.com/detail/0/61", A, "auth"}, /* Tencent: help */
{QQ, 550, {0}, "Domain may not exist or DNS check failed [Mzk= IP: 192.0.2.1]. https://service.mail.qq.com/detail/122/172.", A, "bad_sender"}, /* Tencent: help */
{QQ, 550, {0}, "Error: content rejected; http://mail.qq.com/zh_CN/help/content/rejectedmail.html", X, "spam"}, /* Tencent: help */
{"smtp.qq.com", 535, {0}, "Login Fail. Please enter your authorization code to login. More information in http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=28&&no=1001256", A, "login"}, /* Tencent: help */
{"smtp.exmail.qq.com", 501, {0}, "mail from address must be same as authorization user.", X, ""}, /* Tencent: help */
{QQ, 501, {0}, "Bad address syntax. http://service.exmail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000730", X, ""}, /* smtp.codes */
/* NetEase */
{NETEASE, 554, {0}, "DT:SPM 163 smtp12,EMCowACnzwc_BjhcKMZmAQ--.20404S2 1547175487,please see http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1&hostid=smtp12&time=1547175487", X, "spam"}, /* issue, zabbix_mail_with_graph 1 */
{NETEASE, 451, {0}, "DT:SPM ,please try again", G, "greylisted"}, /* NetEase: help, code list */
{NETEASE, 554, {0}, "DT:SUM 163 mx25, please see http://mail.163.com/help/help_spam_16.htm", A, "auth"}, /* NetEase: help, code list */
{NETEASE, 450, {0}, "DT:RBL 163 mx1", A, "blocked"}, /* NetEase: help, code list */
{NETEASE, 554, {0}, "HL:IPB 163 mx9, please see http://mail.163.com/help/help_spam_16.htm", A, "blocked"}, /* NetEase: help, code list */
{NETEASE, 554, {0}, "HL:IHU 163 mx9", A, "blocked"}, /* NetEase: help, code list */
{NETEASE, 554, {0}, "IP in blacklist", A, "blocked"}, /* NetEase: help, code list */
{NETEASE, 554, {0}, "IP is rejected, smtp auth error limit exceed", A, "blocked"}, /* NetEase: help, code list */
{NETEASE, 554, {0}, "HL:ICC", S_, "rate"}, /* a hoster's code list */
{NETEASE, 421, {0}, "HL:REP", S_, "rate"}, /* NetEase: help, code list */
{NETEASE, 421, {0}, "HL:IFC", S_, "rate"}, /* NetEase: help, code list */
{NETEASE, 421, {0}, "HL:MEP", S_, "rate"}, /* NetEase: help, code list */
{NETEASE, 450, {0}, "MI:CEL", S_, "rate"}, /* NetEase: help, code list */
{NETEASE, 450, {0}, "MI:DMC", S_, "rate"}, /* NetEase: help, code list */
{NETEASE, 451, {0}, "MI:SFQ", S_, "rate"}, /* NetEase: help, code list */
{NETEASE, 450, {0}, "RP:DRC", S_, "rate"}, /* NetEase: help, code list */
{NETEASE, 421, {0}, "RP:TRC", S_, "rate"}, /* NetEase: help, code list */
{NETEASE, 451, {0}, "RP:CEL", S_, "rate"}, /* NetEase: help, code list */
{NETEASE, 550, {0}, "RP:RCL", S_, "rate"}, /* NetEase: help, code list */
{NETEASE, 550, {0}, "RP:FRL", X, "relay"}, /* NetEase: help, code list */
{NETEASE, 550, {0}, "MI:SPF mx30", A, "auth"}, /* NetEase: help, code list */
{NETEASE, 550, {0}, "MI:DMA", A, "auth"}, /* NetEase: help, code list */
{NETEASE, 550, {0}, "MI:NHD", A, "helo"}, /* NetEase: help, code list */
{NETEASE, 550, {0}, "User not found: bob@163.com", X, "unknown_user"}, /* bounce */
{NETEASE, 550, {0}, "Invalid User", X, "unknown_user"}, /* NetEase: help, code list */
{NETEASE, 550, {0}, "User suspended", X, "disabled"}, /* NetEase: help, code list */
{NETEASE, 552, {0}, "Requested mail action aborted: exceeded mailsize limit", X, "size"}, /* NetEase: help, code list */
{NETEASE, 552, {0}, "Illegal Attachment", X, "virus"}, /* NetEase: help, code list */
{"smtp.163.com", 550, {0}, "User has no permission", A, "login"}, /* NetEase: help */
{"smtp.163.com", 553, {0}, "Mail from must equal authorized user", A, "bad_sender"}, /* NetEase: help */
{"smtp.163.com", 535, {0}, "Error: authentication failed", A, "login"}, /* NetEase: help */
/* Alibaba */
{ALI, 454, {0}, "Transient reject by behaviour spam at DATA State(Connection IP address:192.0.2.1)ANTISPAM_BAT[01201311R5167S531]: currently unexpected sending", S_, "rate"}, /* a hoster's page */
{ALI, 554, {0}, "Reject by behaviour spam at Rcpt State(Connection IP address:192.0.2.1)ANTISPAM_BAT[01201311R1976S5]: spf check failed CONTINUE", A, "blocked"}, /* Alibaba: help */
{ALI, 554, {0}, "Reject by content spam at DATA State(Connection IP address:192.0.2.1)ANTISPAM_BAT", X, "spam"}, /* Alibaba: help */
{ALI, 554, {0}, "spamed by local spam engine", X, "spam"}, /* Alibaba: help */
{"smtp.qiye.aliyun.com", 504, {0}, "the number of RCPT attempts is achieved the maximum threshold", S_, "rate"}, /* Alibaba: help */
/* Yahoo, AOL */
{YAHOO, 421, {4, 7, 0}, "[TSS04] Messages from 192.0.2.25 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes", S_, "rate"}, /* bounce */
{YAHOO, 421, {0}, "[IPTS04] Messages from 192.0.2.25 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1", S_, "rate"}, /* issue, kumomta 376 */
{YAHOO, 421, {4, 7, 1}, "[TS03] All messages from 192.0.2.25 will be permanently deferred; Retrying will NOT succeed. See https://postmaster.yahooinc.com/error-codes", A, "blocked"}, /* Yahoo: error codes */
{YAHOO, 553, {5, 7, 2}, "[TSS06] All messages from 192.0.2.25 will be permanently deferred; Retrying will NOT succeed.", A, "blocked"}, /* issue, hardware/mailserver 206 */
{YAHOO, 553, {5, 7, 1}, "[BL21] Connections will not be accepted from 192.0.2.25, because the ip is in Spamhaus's list; see http://postmaster.yahoo.com/550-bl23.html", A, "blocked"}, /* Yahoo: error codes */
{YAHOO, 554, {5, 7, 9}, "Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes", A, "auth"}, /* bounce */
{YAHOO, 554, {0}, "delivery error: dd This user doesn't have a yahoo.com account (bob@yahoo.com) [0] - mta1061.mail.ne1.yahoo.com", X, "unknown_user"}, /* bounce */
{YAHOO, 554, {0}, "delivery error: dd Sorry, your message to bob@yahoo.com cannot be delivered. This mailbox is disabled (554.30).", X, "disabled"}, /* manual */
{YAHOO, 421, {0}, "Max message per connection reached, closing transmission channel", S_, "rate"}, /* manual */
{YAHOO, 554, {0}, "Message not allowed - [PH01] Email not accepted for policy reasons. Please visit https://help.yahoo.com/kb/postmaster/SLN5067.html [120]", X, ""}, /* manual */
{YAHOO, 451, {0}, "mta4050.mail.yahoo.com Resources temporarily unavailable. Please try again later [#4.16.1].", R, ""}, /* smtp.codes */
/* Apple */
{APPLE, 550, {5, 7, 1}, "[CS01] Message rejected due to local policy. Please visit https://support.apple.com/en-us/HT204137", X, "spam"}, /* manual */
{APPLE, 554, {5, 7, 1}, "[HM08] Message rejected due to local policy. Please visit https://support.apple.com/en-us/HT204137", A, "blocked"}, /* a consultant's page */
{APPLE, 550, {5, 7, 1}, "Your email was rejected due to having a domain present in the Spamhaus DBL -- see https://www.spamhaus.org/dbl/", A, "blocked"}, /* manual */
{APPLE, 554, {5, 7, 1}, "Your message was rejected due to example.org's DMARC policy. See https://support.apple.com/en-us/HT204137 for info", A, "auth"}, /* bounce */
{APPLE, 421, {4, 7, 1}, "Messages to bob@icloud.com deferred due to excessive volume. Try again later - https://support.apple.com/en-us/HT204137", S_, "rate"}, /* manual */
{APPLE, 451, {4, 7, 1}, "Service unavailable - try again later", S_, "rate"}, /* smtp.codes */
{APPLE, 550, {5, 1, 1}, "<bob@icloud.com>: inactive email address", X, "disabled"}, /* bounce */
{APPLE, 552, {5, 2, 2}, "<bob@icloud.com>: user is over quota", X, "full"}, /* bounce */
{"st11p00im-smtpin013.me.com", 554, {0}, "st11p00im-smtpin013.me.com ESMTP not accepting connections", S_, "rate"}, /* bounce */
/* GMX, WEB.DE, T-Online, Orange, Comcast, others */
{GMX, 554, {0}, "gmx.net (mxgmx104) Nemesis ESMTP Service not available No SMTP service IP address is block listed. For explanation visit https://postmaster.gmx.net/en/case?c=r0201", A, "blocked"}, /* GMX: error messages */
{GMX, 554, {0}, "gmx.net (mxgmx007) Nemesis ESMTP Service not available No SMTP service IP address is black listed.", A, "blocked"}, /* a reader's page */
{GMX, 554, {0}, "mail.com (mxgmxus002) Nemesis ESMTP Service not available No SMTP service Bad DNS PTR resource record. For explanation visit http://postmaster.gmx.com/en/error-messages", A, "no_ptr"}, /* bounce */
{GMX, 421, {0}, "Rate limit reached. Please try again later", S_, "rate"}, /* a hoster's page */
{GMX, 450, {0}, "Reject due to policy violations.", A, "blocked"}, /* a hoster's page */
{GMX, 550, {0}, "<bob@gmx.de>: Reject due to SPF policy. The originating IP of the message is not permitted by the domain owner", A, "auth"}, /* smtp.codes */
{GMX, 550, {0}, "<bob@gmx.de>: Requested action not taken: mailbox unavailable", X, "unknown_user"}, /* smtp.codes */
{"rx.t-online.de", 554, {0}, "IP=192.0.2.254 - A problem occurred. (Ask your postmaster for help or to contact tosa@rx.t-online.de to clarify.) (BL)", A, "blocked"}, /* bounce */
{"smtp-in.orange.fr", 550, {0}, "mwinf5c04 ME Adresse IP source bloquee pour incident de spam. Client host blocked for spamming issues. OFR006_102 Ref http://csi.cloudmark.com/reset-request/?ip=192.0.2.1 [102]", A, "blocked"}, /* bounce */
{"smtp-in.orange.fr", 421, {0}, "mwinf5c77 ME Service refuse. Veuillez essayer plus tard. Service refused, please try later. OFR_999 [999]", S_, "rate"}, /* bounce */
{"smtp-in.orange.fr", 550, {5, 1, 1}, "Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]", X, "unknown_user"}, /* bounce */
{"mx.laposte.net", 550, {5, 5, 0}, "Le compte du destinataire est bloque. The recipient account is blocked. LPN007_426", X, "disabled"}, /* bounce */
{"mx1.comcast.net", 554, {0}, "resimta-po-10v.sys.comcast.net comcast 192.0.2.1 Comcast requires that all mail servers must have a PTR record with a valid Reverse DNS entry.", A, "no_ptr"}, /* Comcast: error codes */
{"mx1.comcast.net", 554, {0}, "Comcast BL000001 Blocked for spam. Please see http://postmaster.comcast.net/smtp-error-codes.php#BL000001", A, "blocked"}, /* Comcast: error codes */
{"mx1.comcast.net", 421, {0}, "Too many sessions opened", S_, "rate"}, /* Comcast: error codes */
{"mx1.comcast.net", 421, {0}, "Reverse DNS failure : Try again later", A, "no_ptr"}, /* Comcast: error codes */
{"mx1.comcast.net", 550, {5, 2, 0}, "Message rejected due to DMARC. Please see http://postmaster.comcast.net/smtp-error-codes.php#DM000001", A, "auth"}, /* manual */
{"mx1.comcast.net", 550, {5, 1, 1}, "Not our Customer", X, "unknown_user"}, /* manual */
{"mx.cox.net", 550, {5, 1, 0}, "<bounce@example.com> sender rejected. Refer to Error Codes section at https://www.cox.com/residential/support/email-error-codes.html AUP#CDRBL", A, "blocked"}, /* bounce */
{"ff-ip4-mx-vip1.prodigy.net", 550, {5, 7, 1}, "Connections not accepted from servers without a valid sender domain. Fix reverse DNS for 203.0.113.2", A, "no_ptr"}, /* bounce */
{"mxs.mail.ru", 550, {0}, "spam message rejected. Please visit http://help.mail.ru/notspam-support/id?c=x or report details to abuse@corp.mail.ru.", X, "spam"}, /* manual */
{"mxs.mail.ru", 550, {5, 7, 1}, "This message was not accepted due to domain (example.org) owner DMARC policy (RFC 7489)", A, "auth"}, /* bounce */
{"mxs.mail.ru", 550, {0}, "Message was not accepted -- invalid mailbox. Local mailbox bob@mail.ru is unavailable: account is disabled", X, "disabled"}, /* manual */
{"mx.yandex.ru", 554, {5, 7, 1}, "[1] Message rejected under suspicion of SPAM; https://ya.cc/1IrBc", X, "spam"}, /* manual */
{"mx.yandex.ru", 451, {4, 7, 1}, "Sorry, the service is currently unavailable. Please come back later.", G, "greylisted"}, /* Yandex: help */
{"mx.yandex.ru", 550, {5, 7, 1}, "No such user!", X, "unknown_user"}, /* manual */
{"mx.zoho.com", 554, {5, 7, 1}, "Email cannot be delivered. Reason: Email flagged as Spam.", X, "spam"}, /* bounce */
{"smtp.secureserver.net", 550, {5, 1, 1}, "<bob@example.com> - 203.0.113.222 has sent to too many recipients this hour. IB607 <http://x.co/rlbounce>", S_, "rate"}, /* bounce */
{"smtp.secureserver.net", 550, {5, 1, 0}, "192.0.2.222 is not allowed to send from <example.net> per it's SPF Record. IB508 <http://x.co/srbounce>", A, "auth"}, /* bounce */
{"email-smtp.us-east-1.amazonaws.com", 554, {0}, "Message rejected: Email address is not verified. The following identities failed the check in region AP-NORTHEAST-1: a@example.jp", A, "bad_sender"}, /* bounce */
{"email-smtp.us-east-1.amazonaws.com", 454, {0}, "Throttling failure: Maximum sending rate exceeded.", S_, "rate"}, /* Amazon: SES */
/* gateways and block lists */
{ANYONE, 554, {0}, "Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1", A, "blocked"}, /* a consultant's page */
{ANYONE, 554, {0}, "Blocked - see https://support.proofpoint.com/dnsbl-lookup.cgi?ip=192.0.2.225", A, "blocked"}, /* bounce */
{"eu-smtp-inbound-1.mimecast.com", 554, {0}, "Host network not allowed - https://community.mimecast.com/docs/DOC-1369#554 [z7q.us222]", A, "blocked"}, /* bounce */
{"eu-smtp-inbound-1.mimecast.com", 451, {0}, "Internal resource temporarily unavailable - https://community.mimecast.com/docs/DOC-1369#451", G, "greylisted"}, /* manual */
{"eu-smtp-inbound-1.mimecast.com", 550, {0}, "Rejected by header based manually Blocked Senders: a@example.com - https://community.mimecast.com/docs/DOC-1369#550", X, ""}, /* manual */
{"eu-smtp-inbound-1.mimecast.com", 554, {0}, "Email rejected due to security policies - MCSpamSignature.sa.2.2", X, ""}, /* bounce */
{ANYONE, 554, {0}, "Your access to this mail system has been rejected due to the sending MTA's poor reputation. If you believe that this failure is in error, please contact the intended recipient via alternate means.", A, "blocked"}, /* Cisco ESA */
{ANYONE, 550, {0}, "#5.1.0 Address rejected.", X, "unknown_user"}, /* bounce */
{ANYONE, 554, {5, 7, 1}, "Service unavailable; Client host [192.0.2.49] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.49", A, "blocked"}, /* bounce */
{ANYONE, 554, {5, 7, 1}, "Service unavailable; Client host [192.0.2.49] blocked using zen.spamhaus.org; Error: open resolver; https://www.spamhaus.org/returnc/pub/192.0.2.53", X, "policy"}, /* Spamhaus: return codes */
{ANYONE, 554, {5, 7, 1}, "Service unavailable; Client host [192.0.2.49] blocked using b.barracudacentral.org; http://www.barracudanetworks.com/reputation/?pr=1&ip=192.0.2.49", A, "blocked"}, /* Barracuda */
{ANYONE, 554, {5, 7, 1}, "Service unavailable; Client host [192.0.2.49] blocked using bl.spamcop.net; Blocked - see https://www.spamcop.net/bl.shtml?192.0.2.49", A, "blocked"}, /* SpamCop */
{ANYONE, 521, {5, 7, 1}, "Service unavailable; client [203.0.113.225] blocked using dnsbl.sorbs.net", A, "blocked"}, /* bounce */
{ANYONE, 450, {4, 7, 1}, "Service unavailable; Client host [192.0.2.49] blocked using ix.dnsbl.manitu.net", A, "blocked"}, /* a hoster's page */
{ANYONE, 550, {5, 7, 1}, "IP address blacklisted by recipient", A, "blocked"}, /* bounce */
{ANYONE, 550, {5, 7, 1}, "Message content rejected, UBE, id=22220-02-222", X, "spam"}, /* bounce, Barracuda */
{ANYONE, 554, {0}, "rejected due to spam URL in content", X, "spam"}, /* manual, Barracuda */
{ANYONE, 554, {5, 7, 0}, "Reject, id=20025-09 - SPAM", X, "spam"}, /* bounce, amavis */
{ANYONE, 550, {0}, "Virus Detected; Content Rejected", X, "virus"}, /* bounce */
/* Postfix, Exim, rspamd and others anywhere */
{ANYONE, 450, {4, 2, 0}, "<bob@example.net>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/example.net.html", G, "greylisted"}, /* issue, postgrey 84 */
{ANYONE, 450, {4, 2, 0}, "<bob@example.net>: Recipient address rejected: Delayed by postgrey", G, "greylisted"}, /* issue, docker-mailserver 1397 */
{ANYONE, 451, {4, 7, 1}, "<bob@example.net>: Recipient address rejected: Greylisted for 5 minutes", G, "greylisted"}, /* manual */
{ANYONE, 450, {4, 2, 0}, "<bob@example.net>: Recipient address rejected: example.net greylisted for 60 seconds by ZEROSPAM", G, "greylisted"}, /* manual */
{ANYONE, 451, {4, 7, 1}, "Try again later", G, "greylisted"}, /* issue, rmilter 88 */
{ANYONE, 421, {4, 1, 1}, "<bob@example.net>: Recipient address rejected: unverified address: Address verification in progress", G, "greylisted"}, /* manual */
{ANYONE, 450, {4, 7, 1}, "<c135.example.ne.jp[192.0.2.56]>: Client host rejected: may not be mail exchanger", A, "no_ptr"}, /* bounce */
{ANYONE, 450, {4, 7, 1}, "Client host rejected: cannot find your reverse hostname, [192.0.2.1]", A, "no_ptr"}, /* a hoster's page */
{ANYONE, 450, {4, 7, 25}, "Client host rejected: cannot find your hostname, [192.0.2.1]", A, "no_ptr"}, /* a hoster's page */
{ANYONE, 450, {4, 7, 1}, "<localhost>: Helo command rejected: Host not found", A, "helo"}, /* Postfix */
{ANYONE, 450, {4, 1, 8}, "<a@example.org>: Sender address rejected: Domain not found", A, "bad_sender"}, /* manual */
{ANYONE, 553, {5, 1, 8}, "<httpd@host1.example.jp>... Domain of sender address httpd@host1.example.jp does not exist", A, "bad_sender"}, /* bounce */
{ANYONE, 550, {0}, "Bad SPF records for [example.org:192.0.2.2], see http://spf.pobox.com/", A, "auth"}, /* bounce */
{ANYONE, 421, {4, 7, 0}, "Error: too many connections from 192.0.2.1", S_, "rate"}, /* a hoster's page */
{ANYONE, 452, {4, 3, 2}, "Connection rate limit exceeded.", S_, "rate"}, /* bounce */
{ANYONE, 451, {4, 7, 1}, "Ratelimit \"bounce_to\" exceeded", S_, "rate"}, /* rspamd */
{ANYONE, 421, {4, 7, 0}, "lpn-prd-vrin012 Error: too many errors", S_, "rate"}, /* bounce */
{ANYONE, 552, {0}, "Too many recipients", R, "recipients"}, /* bounce */
{ANYONE, 452, {4, 5, 3}, "Error: too many recipients", R, "recipients"}, /* Postfix */
{ANYONE, 554, {5, 7, 1}, "<bob@example.net>: Relay access denied", X, "relay"}, /* bounce */
{ANYONE, 550, {0}, "relaying denied for <bob@example.net>", X, "relay"}, /* manual */
{ANYONE, 550, {5, 1, 1}, "<bob@example.net>: Recipient address rejected: User unknown in virtual mailbox table", X, "unknown_user"}, /* bounce */
{ANYONE, 450, {4, 1, 1}, "<bob@example.net>: Recipient address rejected: User unknown in local recipient table", R, "unknown_user"}, /* bounce */
{ANYONE, 550, {5, 1, 6}, "recipient no longer on server: bob@example.net", X, "unknown_user"}, /* bounce */
{ANYONE, 551, {0}, "not our user", X, "unknown_user"}, /* bounce */
{ANYONE, 554, {5, 4, 6}, "Too many hops", X, "loop"}, /* bounce */
{ANYONE, 552, {5, 3, 4}, "Message size exceeds fixed limit", X, "size"}, /* Postfix */
{ANYONE, 552, {5, 2, 3}, "Message length exceeds limit set by recipient", X, "size"}, /* bounce */
{ANYONE, 552, {5, 2, 2}, "Over quota", X, "full"}, /* bounce */
{ANYONE, 422, {4, 2, 2}, "Quota limit exceeded (Speicherplatz des Kontos ueberschritten)", R, "full"}, /* a hoster's page */
{ANYONE, 451, {0}, "qq trouble in home directory", R, "full"}, /* a hoster's page */
{ANYONE, 550, {0}, "Mailbox is frozen. See http://mail.i.ua/err/3/", X, "disabled"}, /* bounce */
{ANYONE, 550, {5, 7, 1}, "<bob@example.com>: Recipient address rejected: User bob@example.com temporary locked. Please try again later!", R, "disabled"}, /* bounce */
{ANYONE, 530, {5, 7, 0}, "Must issue a STARTTLS command first", A, "tls"}, /* RFC 3207 */
{ANYONE, 530, {5, 7, 0}, "Authentication required", A, "login"}, /* RFC 4954 */
{ANYONE, 550, {5, 6, 7}, "Non-ASCII addresses not permitted for that sender/recipient", X, "smtputf8"}, /* RFC 6531 */
{ANYONE, 556, {5, 1, 10}, "Recipient address has null MX", X, "null_mx"}, /* RFC 7505 */
{ANYONE, 550, {5, 7, 27}, "Sender address has null MX", A, "bad_sender"}, /* RFC 7505 */
{ANYONE, 550, {5, 4, 4}, "Invalid domain", X, ""}, /* bounce */
{ANYONE, 550, {5, 7, 1}, "Access denied", X, "policy"}, /* bounce */
{ANYONE, 452, {4, 4, 5}, "Insufficient disk space; try again later", S_, "busy"}, /* bounce */
{ANYONE, 451, {0}, "Could not load DRD for domain (example.com) rcpt (bob@example.com)", R, ""}, /* bounce */
{ANYONE, 451, {4, 7, 1}, "Service unavailable - virus scanner not reachable, try again", R, ""}, /* milters */
{ANYONE, 554, {5, 7, 1}, "Virus found in message", X, "virus"}, /* gateways */
{GOOGLE, 421, {4, 7, 0}, "[192.0.2.1 15] Our system has detected that this message is suspicious due to the nature of the content and/or the links within.", S_, ""}, /* Google: SMTP errors */
{ANYONE, 451, {4, 7, 1}, "Error: open resolver; https://www.spamhaus.org/returnc/pub/", A, "blocked"}, /* bounces */
