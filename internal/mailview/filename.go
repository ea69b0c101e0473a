package mailview

import (
	"net/url"
	"path"
	"strings"
	"unicode/utf8"

	"postroom/internal/message"
)

const maxName = 200 // octets of a file name; most file systems allow 255

// fileName is what a part says that it is called, decoded; "" if it does not say.
func fileName(p *message.Part) string {
	if name := paramText(p.DispositionParams, "filename"); name != "" {
		return name
	}
	return paramText(p.Params, "name")
}

// paramText gives a parameter as text: RFC 2231's form if there is one, else the value, of which encoded words are decoded
// since many senders write them there.
func paramText(params []message.Param, name string) string {
	plain := ""
	for _, p := range params {
		switch {
		case strings.EqualFold(p.Name, name+"*"):
			charset, rest, ok := strings.Cut(p.Value, "'")
			if _, text, ok2 := strings.Cut(rest, "'"); ok && ok2 {
				if s := decodePercent(charset, text); s != "" {
					return s
				}
			}
			return message.DecodeText(p.Value)
		case plain == "" && strings.EqualFold(p.Name, name):
			plain = message.DecodeText(p.Value)
		}
	}
	return plain
}

func decodePercent(charset, text string) string {
	raw, err := url.PathUnescape(text)
	if err != nil {
		raw = text
	}
	return readAll(message.NewTextReader(strings.NewReader(raw), charset), 64<<10)
}

// extensions name files that have no name.
var extensions = map[string]string{
	"application/pdf": ".pdf", "application/zip": ".zip", "application/pgp-signature": ".asc", "application/json": ".json",
	"application/pkcs7-signature": ".p7s", "application/x-pkcs7-signature": ".p7s", "application/ms-tnef": ".dat",
	"audio/mpeg": ".mp3", "image/gif": ".gif", "image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp",
	"message/rfc822": ".eml", "message/global": ".eml", "text/calendar": ".ics", "text/csv": ".csv", "text/html": ".html",
	"text/plain": ".txt", "text/vcard": ".vcf", "text/x-vcard": ".vcf", "video/mp4": ".mp4",
}

// SafeName makes a file name of a sender's that harms no system it is saved on: one element of a path, no characters that
// mean something to a shell's or Windows' file names, no name of a device, not hidden, not too long. "" if nothing is left.
func SafeName(name string) string {
	name = strings.ReplaceAll(message.Printable(name), `\`, "/")
	name = path.Base(name)
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/:*?"<>|`, r) || r == utf8.RuneError {
			return '_'
		}
		return r
	}, name)
	name = strings.TrimLeft(name, " .~-")
	name = strings.TrimRight(name, " .")
	stem, _, _ := strings.Cut(name, ".")
	switch upper := strings.ToUpper(strings.TrimSpace(stem)); {
	case upper == "CON", upper == "PRN", upper == "AUX", upper == "NUL",
		len(upper) == 4 && (strings.HasPrefix(upper, "COM") || strings.HasPrefix(upper, "LPT")) && upper[3] >= '0' && upper[3] <= '9':
		name = "_" + name
	}
	if strings.Trim(name, "_") == "" {
		return ""
	}
	if len(name) > maxName {
		ext := path.Ext(name)
		if len(ext) > 20 {
			ext = ""
		}
		name = strings.TrimRight(cutRunes(name, maxName-len(ext)), " .") + ext
	}
	return name
}

// cutRunes gives at most n octets of s, whole characters.
func cutRunes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
