package pop3d

// args says what a command's argument is like.
type args uint8

const (
	noArg   args = iota // none
	needArg             // there must be one
	optArg              // there may be one
	rawArg              // all after the verb's space, spaces included
)

// command is one row of the protocol. Where capability is set, CAPA names it: in
// both states, for that is how RFC 2449 section 6 and RFC 6856 register all but
// STLS, which is announced where it is possible. run answers itself; its error
// is a *refusal, or ends the session.
type command struct {
	name       string
	states     state
	args       args
	text       bool                  // the argument may hold UTF-8 (the handler checks it)
	mail       bool                  // it is about mail, which wants the right to read it
	capability func(*session) string // "" when not on offer; nil: no capability of its own
	run        func(*session, string) error
	rfc        string
}

// commandTable is every verb there is. It is made at run time, for CAPA's handler
// reads it.
func commandTable() map[string]*command {
	rows := []command{
		{"CAPA", anyState, noArg, false, false, nil, (*session).capa, "RFC 2449 section 5"},
		{"QUIT", anyState, noArg, false, false, nil, (*session).quit, "RFC 1939 sections 4 and 6"},
		{"LANG", anyState, optArg, false, false, named("LANG"), (*session).lang, "RFC 6856 section 3"},

		{"USER", authorization, needArg, true, false, (*session).userCapability, (*session).userCommand, "RFC 1939 section 7"},
		{"PASS", authorization, rawArg, true, false, nil, (*session).pass, "RFC 1939 section 7"},
		{"AUTH", authorization, optArg, false, false, (*session).saslCapability, (*session).auth, "RFC 5034 section 4"},
		{"STLS", authorization, noArg, false, false, (*session).stlsCapability, (*session).stls, "RFC 2595 section 4"},
		{"UTF8", authorization, noArg, false, false, named("UTF8 USER"), (*session).utf8Command, "RFC 6856 section 2"},

		{"STAT", transaction, noArg, false, true, nil, (*session).stat, "RFC 1939 section 5"},
		{"LIST", transaction, optArg, false, true, nil, (*session).list, "RFC 1939 section 5"},
		{"UIDL", transaction, optArg, false, true, named("UIDL"), (*session).uidl, "RFC 1939 section 7"},
		{"RETR", transaction, needArg, false, true, nil, (*session).retr, "RFC 1939 section 5"},
		{"TOP", transaction, needArg, false, true, named("TOP"), (*session).top, "RFC 1939 section 7"},
		{"DELE", transaction, needArg, false, true, nil, (*session).dele, "RFC 1939 section 5"},
		{"RSET", transaction, noArg, false, false, nil, (*session).rset, "RFC 1939 section 5"},
		{"NOOP", transaction, noArg, false, false, nil, (*session).noop, "RFC 1939 section 5"},
	}
	table := make(map[string]*command, len(rows))
	for i := range rows {
		table[rows[i].name] = &rows[i]
	}
	return table
}

// capabilityOrder is the rows that CAPA asks, in the order of its answer.
var capabilityOrder = []string{"TOP", "UIDL", "USER", "AUTH", "STLS", "UTF8", "LANG"}

func named(name string) func(*session) string {
	return func(*session) string { return name }
}
