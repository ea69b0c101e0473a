package imapd

import (
	"slices"
	"strconv"
	"strings"

	"postroom/imapd/wire"
	"postroom/internal/message"
)

// fetchCommand is FETCH: RFC 9051 section 6.4.5 with what RFC 3501 had
// besides, BINARY (RFC 3516), CHANGEDSINCE and VANISHED (RFC 7162 sections
// 3.1.4.1 and 3.2.6).
type fetchCommand struct {
	set          wire.Set
	uid          bool
	items        []fetchItem
	changedSince *uint64
	vanished     bool

	// What the items need, so that no file is opened for FLAGS alone.
	needDate, needSize, needRecord, needText, needParts bool
	setSeen, tellUID, tellFlags, tellModSeq             bool
}

type itemKind int

const (
	itemUID itemKind = iota
	itemFlags
	itemModSeq
	itemDate
	itemSize
	itemEnvelope
	itemBody          // BODY without a section
	itemBodyStructure // extension data included
	itemSection       // BODY[...], RFC822...
	itemFields        // BODY[HEADER.FIELDS ...]
	itemBinary
	itemBinarySize
)

// fetchItem is one item, and the name it is answered under.
type fetchItem struct {
	kind   itemKind
	label  string
	path   []int
	spec   message.Spec
	fields []string
	not    bool
	set    *message.FieldSet // the fields, where a record may have them

	partial   bool
	from, max uint64
}

// simpleItems are the items that are a name alone.
var simpleItems = map[string]fetchItem{
	"UID":           {kind: itemUID},
	"FLAGS":         {kind: itemFlags},
	"MODSEQ":        {kind: itemModSeq},
	"INTERNALDATE":  {kind: itemDate},
	"RFC822.SIZE":   {kind: itemSize},
	"ENVELOPE":      {kind: itemEnvelope},
	"BODYSTRUCTURE": {kind: itemBodyStructure},
	"RFC822":        {kind: itemSection, spec: message.Whole},
	"RFC822.HEADER": {kind: itemSection, spec: message.Header},
	"RFC822.TEXT":   {kind: itemSection, spec: message.Text},
}

var fetchMacros = map[string][]string{
	"FAST": {"FLAGS", "INTERNALDATE", "RFC822.SIZE"},
	"ALL":  {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"},
	"FULL": {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"},
}

func parseFetch(p *parser) action {
	cmd := &fetchCommand{uid: p.uid}
	if !cmd.parse(p) {
		return nil
	}
	return cmd.run
}

func (cmd *fetchCommand) parse(p *parser) bool {
	if !p.SP() || !p.SequenceSet(&cmd.set) || !p.SP() {
		return false
	}
	if p.Peek('(') {
		if !p.List(false, func() bool { return cmd.item(p, false) }) {
			return false
		}
	} else if !cmd.item(p, true) {
		return false
	}
	if p.Accept(' ') && !p.List(false, func() bool { return cmd.modifier(p) }) {
		return false
	}
	if cmd.vanished && (!cmd.uid || cmd.changedSince == nil) {
		return p.Fail(bad("VANISHED is for UID FETCH with CHANGEDSINCE"))
	}
	if cmd.uid {
		cmd.addSimple("UID", true)
	}
	if cmd.changedSince != nil { // RFC 7162 section 3.1.4.1
		cmd.addSimple("MODSEQ", false)
	}
	cmd.plan()
	return p.Err() == nil
}

func (cmd *fetchCommand) modifier(p *parser) bool {
	var name string
	if !p.Name(&name) {
		return false
	}
	switch name {
	case "CHANGEDSINCE":
		cmd.changedSince = new(uint64)
		return p.SP() && p.Number64(cmd.changedSince)
	case "VANISHED":
		cmd.vanished = true
		return true
	}
	return p.Syntax("unknown modifier")
}

// item reads one item, or a macro where those are allowed.
func (cmd *fetchCommand) item(p *parser, macros bool) bool {
	var name string
	if !p.Item(&name) {
		return false
	}
	if len(cmd.items) >= p.lim.FetchItems {
		return p.Fail(no("LIMIT", "Too many items in one FETCH"))
	}
	if macro := fetchMacros[name]; macro != nil && macros {
		for _, item := range macro {
			cmd.addSimple(item, false)
		}
		return true
	}
	if _, simple := simpleItems[name]; simple {
		cmd.addSimple(name, false)
		return true
	}
	bracket := p.Peek('[')
	switch {
	case name == "BODY" && !bracket:
		cmd.addSimple(name, false)
		return true
	case (name == "BODY" || name == "BODY.PEEK") && bracket:
		return cmd.section(p, name == "BODY")
	case (name == "BINARY" || name == "BINARY.PEEK" || name == "BINARY.SIZE") && bracket:
		return cmd.binary(p, name)
	}
	return p.Syntax("unknown FETCH item")
}

// addSimple adds an item once.
func (cmd *fetchCommand) addSimple(name string, first bool) {
	item := simpleItems[name]
	if name == "BODY" {
		item.kind = itemBody
	}
	item.label = name
	if slices.ContainsFunc(cmd.items, func(it fetchItem) bool { return it.label == name }) {
		return
	}
	if item.kind == itemSection && name != "RFC822.HEADER" {
		cmd.setSeen = true
	}
	if first {
		cmd.items = slices.Insert(cmd.items, 0, item)
	} else {
		cmd.items = append(cmd.items, item)
	}
}

// section reads [section]<partial> of BODY, RFC 9051 section 6.4.5.1.
func (cmd *fetchCommand) section(p *parser, seen bool) bool {
	item := fetchItem{kind: itemSection}
	var text string
	if !p.Special('[') || !p.Item(&text) {
		return false
	}
	rest, ok := cutPath(text, &item.path)
	if !ok {
		return p.Syntax("malformed section")
	}
	label := "BODY[" + text
	switch rest {
	case "":
		item.spec = message.Whole
	case "HEADER":
		item.spec = message.Header
	case "TEXT":
		item.spec = message.Text
	case "MIME":
		if item.spec = message.Mime; item.path == nil {
			return p.Syntax("MIME wants a part number")
		}
	case "HEADER.FIELDS", "HEADER.FIELDS.NOT":
		item.kind, item.spec, item.not = itemFields, message.Header, rest == "HEADER.FIELDS.NOT"
		if !p.SP() || !item.headerFields(p, &label) {
			return false
		}
	default:
		return p.Syntax("unknown section")
	}
	if !p.Special(']') {
		return false
	}
	item.label = label + "]"
	cmd.setSeen = cmd.setSeen || seen
	return item.readPartial(p) && cmd.add(item)
}

func (item *fetchItem) headerFields(p *parser, label *string) bool {
	var b strings.Builder
	b.WriteString(*label + " (")
	if !p.List(false, func() bool {
		var name string
		quoted := p.AtString()
		if !p.Astring(&name) {
			return false
		}
		if name == "" || len(item.fields) >= maxFields {
			return p.Syntax("bad header list")
		}
		if len(item.fields) > 0 {
			b.WriteByte(' ')
		}
		item.fields = append(item.fields, name)
		return writeFieldName(&b, name, quoted) || p.Syntax("bad header field name")
	}) {
		return false
	}
	b.WriteByte(')')
	*label = b.String()
	return true
}

const maxFields = 1000

// writeFieldName repeats a field name in a label as the client sent it, for
// clients that look their own words up; a literal comes back quoted.
func writeFieldName(b *strings.Builder, name string, quoted bool) bool {
	if !quoted && wire.IsAtom(name) {
		b.WriteString(name)
		return true
	}
	for i := 0; i < len(name); i++ {
		if name[i] < 0x20 || name[i] >= 0x7f {
			return false
		}
	}
	b.WriteByte('"')
	b.WriteString(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name))
	b.WriteByte('"')
	return true
}

// cutPath takes the part numbers off a section.
func cutPath(text string, path *[]int) (rest string, ok bool) {
	for text != "" && text[0] >= '0' && text[0] <= '9' {
		number, rest, more := strings.Cut(text, ".")
		n, err := strconv.ParseUint(number, 10, 31)
		if err != nil || n == 0 || more && rest == "" || len(*path) >= 200 {
			return "", false
		}
		*path = append(*path, int(n))
		text = rest
	}
	return text, true
}

// readPartial reads <from.max>, which may be absent; only from is repeated in
// the answer.
func (item *fetchItem) readPartial(p *parser) bool {
	if !p.Accept('<') {
		return true
	}
	item.partial = true
	if !p.Number64(&item.from) || !p.Special('.') || !p.Number64(&item.max) || !p.Special('>') {
		return false
	}
	if item.max == 0 {
		return p.Syntax("a partial fetch asks for at least one octet")
	}
	item.label += "<" + strconv.FormatUint(item.from, 10) + ">"
	return true
}

// binary reads the section of BINARY: part numbers alone (RFC 3516 section 4.2).
func (cmd *fetchCommand) binary(p *parser, name string) bool {
	item := fetchItem{kind: itemBinary}
	var text string
	if !p.Special('[') || !p.Item(&text) || !p.Special(']') {
		return false
	}
	if rest, ok := cutPath(text, &item.path); !ok || rest != "" {
		return p.Syntax("malformed section")
	}
	if name == "BINARY.SIZE" {
		item.kind, item.label = itemBinarySize, "BINARY.SIZE["+text+"]"
		return cmd.add(item)
	}
	item.label = "BINARY[" + text + "]"
	cmd.setSeen = cmd.setSeen || name == "BINARY"
	return item.readPartial(p) && cmd.add(item)
}

func (cmd *fetchCommand) add(item fetchItem) bool {
	if !slices.ContainsFunc(cmd.items, func(it fetchItem) bool { return it.label == item.label }) {
		cmd.items = append(cmd.items, item)
	}
	return true
}

// whole tells whether all of the message is asked for, for which it need not be parsed.
func (item *fetchItem) whole() bool {
	return item.kind == itemSection && item.path == nil && item.spec == message.Whole && !item.partial
}

// plan finds out what the items need.
func (cmd *fetchCommand) plan() {
	for i := range cmd.items {
		item := &cmd.items[i]
		switch item.kind {
		case itemUID:
			cmd.tellUID = true
		case itemFlags:
			cmd.tellFlags = true
		case itemModSeq:
			cmd.tellModSeq = true
		case itemDate:
			cmd.needDate = true
		case itemSize:
			cmd.needSize = true
		case itemEnvelope, itemBody, itemBodyStructure:
			cmd.needRecord = true
		case itemFields:
			if item.path == nil && !item.not {
				item.set = message.NewFieldSet(item.fields)
				cmd.needRecord = true
			} else {
				cmd.needParts = true
			}
		default:
			if item.whole() {
				cmd.needText = true
			} else {
				cmd.needParts = true
			}
		}
	}
}
