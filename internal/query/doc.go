// Package query is the language of the web mail's search box: words and operators, all of which a message must match.
//
//	budget                 in From, To, Cc, Subject or the text
//	"annual budget"        so, as a phrase
//	from:alice             in a header field: from: to: cc: bcc: subject:
//	body:budget            in the text alone
//	has:attachment
//	is:unread              is: read, unread, flagged, unflagged, answered, unanswered, draft, deleted
//	label:work             a keyword
//	before:2026-11-27      days, in the user's zone: before: after: on:, also 2026-11, 2026, today, yesterday, 7d, 2w, 3m, 1y
//	larger:2M              octets: larger: smaller:, with k, M or G
//	-from:alice            what must not match
//	budget OR plan         either
//
// Parse makes of it a search.Key; what it does not understand is an *Error that says what and where. An operator without
// a known name is a plain word: "Re:" and "http://x" can be searched for.
package query
