package webmail

import "net/http"

// shortcut is a key, or two one after the other, and what it does; static/keys.js and its like listen for them.
type shortcut struct {
	Keys string
	Key  string // of the text
}

// shortcuts are all there are, in the order of the help.
var shortcuts = []shortcut{
	{"?", "keys.help"},
	{"g i", "keys.inbox"},
	{"g f", "keys.folders"},
	{"g c", "keys.contacts"},
	{"g s", "keys.settings"},
	{"g o", "keys.outbox"},
	{"c", "keys.compose"},
	{"r", "keys.reply"},
	{"a", "keys.replyall"},
	{"f", "keys.forward"},
	{"Ctrl+Enter", "keys.send"},
	{"u", "keys.back"},
	{"/", "keys.search"},
	{"j", "keys.next"},
	{"k", "keys.previous"},
	{"o", "keys.open"},
	{"x", "keys.choose"},
	{"* a", "keys.all"},
	{"* n", "keys.none"},
	{"#", "keys.delete"},
	{"!", "keys.junk"},
	{"I", "keys.read"},
	{"U", "keys.unread"},
	{"s", "keys.flag"},
	{"S", "keys.unflag"},
	{"v", "keys.move"},
	{"l", "keys.label"},
	{"z", "keys.undo"},
	{"Esc", "keys.close"},
}

// keysPage is the help without JavaScript; with it the same is an overlay.
func keysPage(w http.ResponseWriter, r *http.Request, n *session) error {
	return n.page(w, r, view{Name: "keys", Title: "keys.title", Data: shortcuts, Pane: "list"})
}
