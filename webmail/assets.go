package webmail

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed static
var staticFiles embed.FS

// assets are the scripts, styles and pictures of the pages. An address holds a sum of the file, so that a browser may
// keep it for ever.
type assets struct {
	byName map[string]asset // by the path below static
}

type asset struct {
	data []byte
	sum  string
	kind string // of media
}

var mediaTypes = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", "": "text/plain; charset=utf-8",
}

func loadAssets() (*assets, error) {
	a := &assets{byName: make(map[string]asset)}
	err := fs.WalkDir(staticFiles, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := staticFiles.ReadFile(name)
		if err != nil {
			return err
		}
		kind, ok := mediaTypes[path.Ext(name)]
		if !ok {
			return fmt.Errorf("webmail: %s has no media type", name)
		}
		sum := sha256.Sum256(data)
		a.byName[strings.TrimPrefix(name, "static/")] = asset{data, hex.EncodeToString(sum[:6]), kind}
		return nil
	})
	return a, err
}

// path is the address of a file of static.
func (a *assets) path(name string) (string, error) {
	f, ok := a.byName[name]
	if !ok {
		return "", fmt.Errorf("webmail: there is no static/%s", name)
	}
	return "/static/" + f.sum + "/" + name, nil
}

// serve answers with a file. A page of an older server may name it with another sum: it gets what there is now.
func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	f, ok := a.byName[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("ETag", `"`+f.sum+`"`)
	if r.PathValue("sum") == f.sum {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data))
}

// icon is for browsers that ask for one without having been told of it.
func (a *assets) icon(w http.ResponseWriter, r *http.Request) {
	r.SetPathValue("name", "logo.svg")
	a.serve(w, r)
}
