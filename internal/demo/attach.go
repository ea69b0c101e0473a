package demo

import (
	"archive/zip"
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"
	"time"
)

// picture draws one of a few small pictures, as PNG.
func picture(name string) (string, error) {
	var at func(x, y int) color.RGBA
	w, h := 96, 64
	switch name {
	case "garden": // a sun over a field in furrows
		at = func(x, y int) color.RGBA {
			switch dx, dy := x-70, y-16; {
			case dx*dx+dy*dy < 90:
				return color.RGBA{250, 210, 70, 255}
			case y < 36:
				return color.RGBA{uint8(120 + 2*y), uint8(180 + y), 240, 255}
			case (x+y)%9 < 3:
				return color.RGBA{110, 75, 45, 255}
			default:
				return color.RGBA{70, uint8(130 + y), 60, 255}
			}
		}
	case "logo": // a letter, with its flap
		w, h = 32, 24
		at = func(x, y int) color.RGBA {
			if d := min(x, 31-x); x == 0 || y == 0 || x == 31 || y == 23 || d == y || d == y-1 {
				return color.RGBA{40, 70, 130, 255}
			}
			return color.RGBA{235, 240, 250, 255}
		}
	case "chart": // bars
		at = func(x, y int) color.RGBA {
			if high := 10 + (x/12*37)%48; x%12 < 9 && y > 62-high {
				return color.RGBA{uint8(40 + x), 110, 170, 255}
			}
			return color.RGBA{255, 255, 255, 255}
		}
	default:
		return "", fmt.Errorf("no picture %q", name)
	}
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetRGBA(x, y, at(x, y))
		}
	}
	var b bytes.Buffer
	err := png.Encode(&b, img)
	return b.String(), err
}

// pdf makes a page with these lines; they must be ASCII without parentheses.
func pdf(lines ...string) string {
	var page strings.Builder
	page.WriteString("BT /F1 14 Tf 72 770 Td 20 TL\n")
	for _, l := range lines {
		fmt.Fprintf(&page, "(%s) Tj T*\n", l)
	}
	page.WriteString("ET\n")
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R" +
			" /Resources << /Font << /F1 5 0 R >> >> >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%sendstream", page.Len(), page.String()),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
	}
	var b, xref strings.Builder
	b.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	for i, o := range objects {
		fmt.Fprintf(&xref, "%010d 00000 n \n", b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n%s", len(objects)+1, xref.String())
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, start)
	return b.String()
}

// zipped packs files, given as name, content, name, content.
func zipped(files ...string) (string, error) {
	if len(files)%2 != 0 {
		return "", fmt.Errorf("zip: a name without content")
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.CreateHeader(&zip.FileHeader{
			Name: files[i], Method: zip.Deflate,
			Modified: time.Date(2025, 5, 2, 10, 0, 0, 0, time.UTC),
		})
		if err != nil {
			return "", err
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			return "", err
		}
	}
	err := z.Close()
	return b.String(), err
}
