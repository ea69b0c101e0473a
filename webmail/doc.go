// Package webmail is the web mail: pages made on the server, over internal/account like every other protocol.
//
// All works by links and forms alone; htmx and the scripts in static only quicken it. What a person does with mail is a
// POST that answers 303. No page has a script, a style or a handler inline, and none shows HTML of a mail.
//
// A route is a row of the table in routes.go: method, path, handler, and how large its body may be; there is no other
// way in. A handler is a func(w, r, *session) error. Each row that touches mail has one in TestMissingRights.
//
// A page is s.page(w, r, view{Name: "name", Title: …, Data: …}), which executes the template "name" of templates/*.html
// within layout.html; a part of one for htmx is s.fragment(w, r, "name", data); isFragment(r) tells which is wanted. In
// templates . is the view, .Data what the handler gave (in a fragment . is that itself); t and n are texts, asset is the
// address of a file of static, icon an icon of static/icons.svg. Moments are made text in Go: s.locale(r) has Short and Long.
//
// A text stands under one key in locale/en.toml and locale/de.toml: {{t "folders.title"}}, in Go s.locale(r).T("…"), with
// verbs of fmt if it takes arguments; a number of things is a table with "one" and "other": {{n "folders.unread" 3}}.
// TestCatalogue wants both files to have the same keys, every key that is used to be there, and none that is not used.
//
// A mailbox is selected by s.selectMailbox(r), which reads box= and v= of the request: it gives a *selection, for this
// request alone, whose Close is the handler's. The session keeps the folder loaded between requests.
//
// An error becomes an answer in errors.go: handlers return what internal/account gave them, or fail(status, "key").
//
// A script is a file of static that is named in scripts (page.go). Tests start a server with users by newSite (util_test.go).
package webmail
