package imapd

import (
	"errors"
	"slices"
	"strings"

	"postroom/internal/account"
)

// listCommand is LIST of RFC 9051 section 6.3.9: with the options of
// LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819), SPECIAL-USE (RFC 6154),
// LIST-MYRIGHTS (RFC 8440).
type listCommand struct {
	reference string
	patterns  []string
	valid     bool // every pattern could be a name
	extended  bool

	onlySubscribed, onlySpecial, recursive bool

	returnSubscribed, returnRights bool

	status []string
}

// Matching costs names times octets of patterns, so both are bounded.
const (
	maxPatterns = 20
	maxPattern  = 1000
)

func parseList(p *parser) action {
	cmd := &listCommand{valid: true}
	if !p.SP() {
		return nil
	}
	if p.Peek('(') {
		if cmd.extended = true; !p.List(true, func() bool { return cmd.selectOption(p) }) || !p.SP() {
			return nil
		}
		if cmd.recursive && !cmd.onlySubscribed && !cmd.onlySpecial {
			p.Syntax("RECURSIVEMATCH wants another selection option") // RFC 5258 section 3.1
			return nil
		}
	}
	var valid bool
	if !p.Mailbox(&cmd.reference, &valid) || !p.SP() {
		return nil
	}
	cmd.valid = valid
	pattern := func() bool {
		var s string
		var valid bool
		if !p.ListMailbox(&s, &valid) {
			return false
		}
		cmd.valid = cmd.valid && valid
		cmd.patterns = append(cmd.patterns, s)
		if len(cmd.patterns) > maxPatterns || len(s)+len(cmd.reference) > maxPattern {
			return p.Fail(no("LIMIT", "Too many patterns, or too long ones"))
		}
		return true
	}
	if p.Peek('(') {
		if cmd.extended = true; !p.List(false, pattern) {
			return nil
		}
	} else if !pattern() {
		return nil
	}
	if p.Accept(' ') {
		var word string
		cmd.extended = true
		if !p.Name(&word) || word != "RETURN" && !p.Syntax("expected RETURN") || !p.SP() ||
			!p.List(true, func() bool { return cmd.returnOption(p) }) {
			return nil
		}
	}
	return cmd.run
}

func (cmd *listCommand) selectOption(p *parser) bool {
	var name string
	if !p.Name(&name) {
		return false
	}
	switch name {
	case "SUBSCRIBED":
		cmd.onlySubscribed = true
	case "RECURSIVEMATCH":
		cmd.recursive = true
	case "SPECIAL-USE":
		cmd.onlySpecial = true
	case "REMOTE": // there are no remote mailboxes to add
	default:
		return p.Syntax("unknown selection option")
	}
	return true
}

func (cmd *listCommand) returnOption(p *parser) bool {
	var name string
	if !p.Name(&name) {
		return false
	}
	switch name {
	case "SUBSCRIBED":
		cmd.returnSubscribed = true
	case "MYRIGHTS":
		cmd.returnRights = true
	case "CHILDREN", "SPECIAL-USE": // always told
	case "STATUS":
		return p.SP() && p.statusList(&cmd.status)
	default:
		return p.Syntax("unknown return option")
	}
	return true
}

func (cmd *listCommand) run(c *conn) error {
	sep := c.user.Separator()
	if cmd.valid && !cmd.extended && cmd.patterns[0] == "" {
		c.tellRoot(cmd.reference, sep)
		return nil
	}
	if !cmd.valid {
		return nil // a pattern that can be no name matches none
	}
	entries, err := c.user.Mailboxes(c.ctx)
	if err != nil {
		return err
	}
	if cmd.onlySubscribed {
		if entries, err = c.withLostSubscriptions(entries); err != nil {
			return err
		}
	}
	m := newMatcher(cmd.reference, cmd.patterns, sep)
	if slices.Contains(cmd.status, "HIGHESTMODSEQ") {
		c.enableCondstore()
	}
	below := map[string]bool{}
	if cmd.recursive {
		below = cmd.chosenBelow(entries, sep)
	}
	for i := range entries {
		e := &entries[i]
		if !m.match(e.Name) || !cmd.chosen(e) && !below[e.Name] {
			continue
		}
		cmd.tell(c, e, sep, below[e.Name])
		if cmd.returnRights && !e.NonExistent { // who may look up a mailbox may ask for his rights
			c.tellMyRights(e.Name, e.Rights)
		}
		if err := cmd.tellStatus(c, e); err != nil {
			return err
		}
	}
	return nil
}

// tellRoot answers the empty pattern, RFC 9051 section 6.3.9: the separator
// and the root of the reference.
func (c *conn) tellRoot(reference string, sep byte) {
	root := ""
	personal, other, shared := c.user.Namespaces()
	for _, ns := range slices.Concat(personal, other, shared) {
		if ns.Prefix != "" && strings.HasPrefix(reference, ns.Prefix) {
			root = ns.Prefix
		}
	}
	e := c.enc.Raw(`* LIST (\Noselect) `).String(string(sep)).SP()
	e.String(e.Name(root)).CRLF()
}

func (cmd *listCommand) chosen(e *account.Entry) bool {
	return (!cmd.onlySubscribed || e.Subscribed) && (!cmd.onlySpecial || e.SpecialUse != "")
}

// chosenBelow finds the names with a chosen one anywhere below, for CHILDINFO
// (RFC 5258 section 3.5).
func (cmd *listCommand) chosenBelow(entries []account.Entry, sep byte) map[string]bool {
	below := make(map[string]bool)
	for i := range entries {
		if cmd.chosen(&entries[i]) {
			name := entries[i].Name
			for at := strings.LastIndexByte(name, sep); at > 0; at = strings.LastIndexByte(name, sep) {
				name = name[:at]
				below[name] = true
			}
		}
	}
	return below
}

// tell writes one LIST response.
func (cmd *listCommand) tell(c *conn, e *account.Entry, sep byte, below bool) {
	attrs := make([]string, 0, 6)
	switch {
	case !e.NonExistent:
	case cmd.extended || c.enabled.rev2: // it implies \Noselect, RFC 5258 section 3
		attrs = append(attrs, `\NonExistent`)
	default:
		attrs = append(attrs, `\Noselect`)
	}
	if e.HasChildren {
		attrs = append(attrs, `\HasChildren`)
	} else {
		attrs = append(attrs, `\HasNoChildren`)
	}
	if e.Subscribed && (cmd.returnSubscribed || cmd.onlySubscribed) {
		attrs = append(attrs, `\Subscribed`)
	}
	if e.SpecialUse != "" {
		attrs = append(attrs, e.SpecialUse)
	}
	c.tellName("LIST", attrs, sep, e.Name)
	if below {
		c.enc.Raw(` ("CHILDINFO" (`)
		if cmd.onlySubscribed {
			c.enc.Raw(`"SUBSCRIBED"`)
		} else {
			c.enc.Raw(`"SPECIAL-USE"`)
		}
		c.enc.Raw("))")
	}
	c.enc.CRLF()
}

func (c *conn) tellName(response string, attrs []string, sep byte, name string) {
	c.enc.Raw("* ").Raw(response).Raw(" (").Raw(strings.Join(attrs, " ")).Raw(") ").
		String(string(sep)).SP().Mailbox(name)
}

// tellStatus is the STATUS response of RFC 5819: none where there is nothing
// to select or no right to read, and a mailbox that fails does not fail the list.
func (cmd *listCommand) tellStatus(c *conn, e *account.Entry) error {
	if cmd.status == nil || e.NonExistent {
		return nil
	}
	if err := c.tellStatus(e.Name, cmd.status); err != nil {
		if c.ctx.Err() != nil {
			return err
		}
		if !errors.Is(err, account.ErrNoFolder) && !errors.Is(err, account.ErrNoRight) {
			c.log.Warn("imap status in list failed", "mailbox", e.Name, "error", err)
		}
	}
	return nil
}

// withLostSubscriptions adds subscribed names whose mailbox is not there
// (RFC 5258 section 3.4: they are listed as \NonExistent).
func (c *conn) withLostSubscriptions(entries []account.Entry) ([]account.Entry, error) {
	names, err := c.user.Subscriptions(c.ctx)
	if err != nil {
		return nil, err
	}
	have := make(map[string]bool, len(entries))
	for i := range entries {
		have[entries[i].Name] = true
	}
	for _, name := range names {
		if !have[name] {
			entries = append(entries, account.Entry{Name: name, NonExistent: true, Subscribed: true})
		}
	}
	return entries, nil
}

// parseLsub: RFC 3501 section 6.3.9.
func parseLsub(p *parser) action {
	var (
		reference, pattern string
		valid1, valid2     bool
	)
	if !p.SP() || !p.Mailbox(&reference, &valid1) || !p.SP() || !p.ListMailbox(&pattern, &valid2) {
		return nil
	}
	if len(reference)+len(pattern) > maxPattern {
		p.Fail(no("LIMIT", "Pattern too long"))
		return nil
	}
	return func(c *conn) error {
		if !valid1 || !valid2 {
			return nil
		}
		return c.lsub(reference, pattern)
	}
}

// lsub lists subscribed names, and with "%" as \Noselect the names above
// subscribed ones that the pattern stops at.
func (c *conn) lsub(reference, pattern string) error {
	sep := c.user.Separator()
	names, err := c.user.Subscriptions(c.ctx)
	if err != nil {
		return err
	}
	m := newMatcher(reference, []string{pattern}, sep)
	told := make(map[string]bool)
	for _, name := range names {
		if m.match(name) {
			c.tellName("LSUB", nil, sep, name)
			c.enc.CRLF()
			told[name] = true
		}
	}
	if !strings.Contains(pattern, "%") {
		return nil
	}
	for _, name := range names {
		if told[name] {
			continue
		}
		for at := strings.LastIndexByte(name, sep); at > 0; at = strings.LastIndexByte(name, sep) {
			if name = name[:at]; m.match(name) && !told[name] {
				told[name] = true
				c.tellName("LSUB", []string{`\Noselect`}, sep, name)
				c.enc.CRLF()
			}
		}
	}
	return nil
}
