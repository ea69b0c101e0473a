package hostile

import (
	"fmt"
	"strings"
)

// headers are mails whose header fields and names are the attack.
func headers(beacon string) []Mail {
	js := Script(beacon)
	bad := "\"><script>" + js + "</script><img src=x onerror=\"" + js + "\">"
	word := func(s string) string {
		var q strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&q, "=%02X", c)
		}
		return "=?utf-8?q?" + q.String() + "?="
	}
	mail := func(name, head, body string) Mail { return Mail{"header: " + name, crlf(head + "\n\n" + body + "\n")} }
	attachment := func(name, param string) Mail {
		return mail("file name "+name, "From: m@example.com\nSubject: file name "+name+"\nMIME-Version: 1.0\n"+
			"Content-Type: multipart/mixed; boundary=b", "--b\n\ntext\n--b\nContent-Type: application/octet-stream\n"+
			"Content-Disposition: attachment; "+param+"\n\nx\n--b--")
	}
	quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(bad) + `"`
	return []Mail{
		mail("markup everywhere", "From: "+quoted+" <m@example.com>\nTo: "+word(bad)+" <a@example.org>\nCc: <"+quoted+"@example.org>\n"+
			"Subject: "+bad+"\nMessage-ID: <"+bad+">\nDate: "+bad+"\nReply-To: "+quoted+"\nX-"+bad+": "+bad+
			"\nList-Unsubscribe: <javascript:"+js+">", "text"),
		mail("markup in encoded words", "From: "+word(bad)+" <m@example.com>\nSubject: "+word(bad), "text"),
		mail("line ends in encoded words", "From: =?utf-8?q?a=0D=0ASet-Cookie=3A_x=3D1=0D=0A=0D=0A=3Cscript=3E?= <m@example.com>\n"+
			"Subject: =?utf-8?q?a=0D=0AContent-Type=3A_text/html=0D=0A=0D=0A"+word(bad)[10:], "text"),
		mail("turned direction", "From: =?utf-8?q?=E2=80=AEmoc=2Eelpmaxe=40m?= <m@example.com>\n"+
			"Subject: =?utf-8?q?=E2=80=AE=E2=81=A6gpj=2Eexe?=", "text \u202e turned"),
		mail("utf-7 words", "From: =?utf-7?q?+ADw-script+AD4-?= <m@example.com>\nSubject: =?utf-7?q?+ACI-+AD4-+ADw-img src=3Dx onerror=3D1+AD4-?=", "text"),
		mail("plain text with markup", "From: m@example.com\nSubject: plain", bad+"\n> "+bad+"\n-- \n"+bad+
			"\nhttp://example.com/\"onmouseover=\""+js+"\njavascript:"+js+"\nhttp://x/<script>"+js+"</script>\nmailto:a@b?x=\"><script>\n"+
			"data:text/html,"+bad+"\nhttp://example.com\u202e/gpj.exe"),
		mail("quotes without end", "From: m@example.com\nSubject: deep", strings.Repeat(strings.Repeat(">", 200)+" x\nx\n", 500)),
		mail("flowed markup", "From: m@example.com\nSubject: flowed\nMIME-Version: 1.0\nContent-Type: text/plain; format=flowed; delsp=yes",
			"<scr \nipt>"+js+"</scr \nipt>\n> <img  \n> src=x onerror="+js+">"),
		attachment("of a path", `filename="../../../../etc/passwd"`),
		attachment("of Windows", `filename="..\\..\\windows\\system32\\evil.exe"`),
		attachment("with markup", `filename=`+quoted),
		attachment("with line ends", `filename*=utf-8''a%0d%0aSet-Cookie:%20x=1%0d%0a%0d%0a%3Cscript%3E.html`),
		attachment("turned", `filename*=utf-8''invoice%e2%80%aegpj.exe`),
		attachment("of a device", `filename="con.txt"`),
		attachment("with NUL", `filename*=utf-8''a.txt%00.exe`),
		attachment("in pieces", `filename*0*=utf-8''..%2f; filename*1*=..%2f; filename*2=x.html`),
		attachment("very long", `filename="`+strings.Repeat("a", 5000)+`.html"`),
		attachment("of dots", `filename="..."`),
	}
}

// structures are mails whose parts are the attack.
func structures(beacon string) []Mail {
	js := Script(beacon)
	script := "<script>" + js + "</script>"
	svg := `<svg xmlns="http://www.w3.org/2000/svg" onload="` + js + `"><script>` + js + `</script></svg>`
	head := "From: m@example.com\nSubject: %s\nMIME-Version: 1.0\nContent-Type: %s\n\n"
	mail := func(name, typ, body string) Mail {
		return Mail{"parts: " + name, crlf(fmt.Sprintf(head, name, typ) + body + "\n")}
	}
	part := func(typ, more, body string) string {
		return "--b\nContent-Type: " + typ + "\n" + more + "\n" + body + "\n"
	}
	html := func(body string) string { return part("text/html", "", body) }
	list := []Mail{
		mail("HTML as a picture", "multipart/related; boundary=b", html(`<img src="cid:x">`)+
			part("image/png", "Content-ID: <x>\n", script)+"--b--"),
		mail("SVG as a picture", "multipart/related; boundary=b", html(`<img src="cid:x"><object data="cid:x"></object><iframe src="cid:x"></iframe>`)+
			part("image/svg+xml", "Content-ID: <x>\nContent-Disposition: inline; filename=x.svg\n", svg)+"--b--"),
		mail("HTML attached inline", "multipart/mixed; boundary=b", part("text/plain", "", "x")+
			part("text/html; name=x.html", "Content-Disposition: inline; filename=x.html\n", script)+
			part("application/xhtml+xml", "Content-Disposition: inline\n", script)+
			part("text/xml", "Content-Disposition: inline\n", `<x:script xmlns:x="http://www.w3.org/1999/xhtml">`+js+`</x:script>`)+
			part("text/javascript", "Content-Disposition: inline\n", js)+
			part("multipart/x-mixed-replace; boundary=c", "", "--c\nContent-Type: text/html\n\n"+script+"\n--c--")+"--b--"),
		mail("a type with markup", "multipart/mixed; boundary=b", part(`text/"><script>`, "", script)+
			part("image/png\"; onerror=\""+js, "", script)+part("text/html\r", "", script)+"--b--"),
		mail("a picture that is HTML too", "multipart/mixed; boundary=b",
			part("image/gif", "Content-Disposition: inline; filename=x.gif\n", "GIF89a/*"+script+"*/=1;")+"--b--"),
		mail("PDF that is HTML", "multipart/mixed; boundary=b",
			part("application/pdf", "Content-Disposition: inline; filename=x.pdf\n", script)+"--b--"),
		mail("ids with markup", "multipart/related; boundary=b", html(`<img src='cid:"><script>`+js+`</script>'>`)+
			part("image/png", "Content-ID: <\"><script>"+js+"</script>>\n", "x")+"--b--"),
		mail("places on the web", "multipart/related; boundary=b", html(`<img src="`+beacon+`location"><link rel=stylesheet href="cid:s"><style>@import "cid:s";</style>`)+
			part("image/png", "Content-Location: "+beacon+"location\n", "x")+
			part("text/css", "Content-ID: <s>\n", "p{background:url("+beacon+"css)}")+"--b--"),
		mail("a body elsewhere", "multipart/mixed; boundary=b",
			part("message/external-body; access-type=URL; URL=\""+beacon+"external\"", "", "Content-Type: text/html\n\n")+"--b--"),
		mail("HTML in a message", "message/rfc822", "Subject: "+script+"\nMIME-Version: 1.0\nContent-Type: text/html\n\n"+script),
		mail("enriched", "text/enriched", "<bold>"+script+"<<script>"+js+"<</script><param>"+script),
		mail("a calendar", "text/calendar; method=REQUEST", "BEGIN:VCALENDAR\nURL:javascript:"+js+"\nSUMMARY:"+script+"\nEND:VCALENDAR"),
		mail("boundaries inside each other", "multipart/mixed; boundary=b", "--b\nContent-Type: multipart/alternative; boundary=bb\n\n--bb\n"+
			"Content-Type: text/html\n\n"+script+"\n--b\nContent-Type: text/html\n\n"+script+"\n--bb--\n--b--"),
		mail("no boundary", "multipart/alternative", script),
		mail("encoded twice", "text/html", script),
		mail("unknown encoding", "text/html\nContent-Transfer-Encoding: x-evil", script),
	}
	deep := "text/html\n\n" + script
	for i := range 150 {
		deep = fmt.Sprintf("multipart/mixed; boundary=%d\n\n--%d\nContent-Type: %s\n--%d--", i, i, deep, i)
	}
	many := strings.Repeat(html(script), 300)
	return append(list,
		Mail{"parts: very deep", crlf("From: m@example.com\nSubject: deep\nMIME-Version: 1.0\nContent-Type: " + deep)},
		mail("very many", "multipart/mixed; boundary=b", many+"--b--"),
		mail("many pictures", "multipart/related; boundary=b", html(strings.Repeat(`<img src="cid:x">`, 5000))+
			part("image/gif", "Content-ID: <x>\nContent-Transfer-Encoding: base64\n", "R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==")+"--b--"))
}
