package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// webSessions is how many sessions of the web mail the memory is told of.
const webSessions = 100

// webFamily is the web mail with one folder of so many messages.
func webFamily(n int) family {
	of := fmt.Sprintf("web mail, %s messages: ", count(n))
	return family{
		name: "web", messages: n, links: true, sides: []side{postroomSide},
		works: []work{{
			name: "web", title: "web mail", rounds: 3, run: webPages,
			judge: bounds{figures: []figure{
				{key: "first", title: of + "the first page, in a new session after a start", unit: "ms", most: 100},
				{key: "again", title: "the same page again, median of 20", unit: "ms", most: 100},
				{key: "middle", title: "a page in the middle, median of 20", unit: "ms", most: 100},
				{key: "subject", title: "search in the subject, first", unit: "ms"},
				{key: "subject-again", title: "another search in the subject", unit: "ms"},
				{key: "unread", title: "the unread messages alone", unit: "ms"},
				{key: "body", title: "search of a word everywhere, first page or 8 seconds", unit: "ms"},
				{key: "sort", title: "sorted by subject, first", unit: "ms"},
				{key: "sort-again", title: "the same again", unit: "ms"},
				{key: "threads", title: "conversations", unit: "ms"},
				{key: "session", title: fmt.Sprintf("memory (PSS) a session, of %d that have the folder's first page", webSessions), unit: "KiB"},
			}},
		}},
	}
}

// webClient is a browser that has signed in.
type webClient struct {
	base string
	http http.Client
}

// answer gives a whole page.
func (c *webClient) answer(resp *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d", resp.Request.URL, resp.StatusCode)
	}
	return string(page), err
}

// get fetches a page, which has to hold some rows, and tells the time.
func (c *webClient) get(path string) (page string, took time.Duration, err error) {
	begin := time.Now()
	page, err = c.answer(c.http.Get(c.base + path))
	took = time.Since(begin)
	if err == nil && !strings.Contains(page, `class="row`) {
		err = fmt.Errorf("%s: the page has no rows", path)
	}
	return page, took, err
}

// median of n times.
func (c *webClient) median(path string, n int) (float64, error) {
	var all []float64
	for range n {
		_, took, err := c.get(path)
		if err != nil {
			return 0, err
		}
		all = append(all, ms(took))
	}
	return median(all), nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

var middleUID = regexp.MustCompile(`data-uid="([0-9]+)"`)

// webPages asks for all kinds of lists.
func webPages(s *site) (sample, error) {
	if err := s.visit(); err != nil { // IMAP has been here before, and the cache is filled
		return sample{}, err
	}
	if err := s.restart(nil); err != nil {
		return sample{}, err
	}
	got := sample{values: map[string]float64{}}
	c, err := s.webLogin()
	if err != nil {
		return sample{}, err
	}
	arrange := func(by, threads string) error {
		return c.post("/arrange", url.Values{"sort": {by}, "threads": {threads}})
	}
	// once measures one page.
	once := func(key, path string) (string, error) {
		page, took, err := c.get(path)
		got.values[key] = ms(took)
		return page, err
	}
	page, err := once("first", "/")
	if err != nil {
		return sample{}, err
	}
	newest := middleUID.FindStringSubmatch(page)
	if newest == nil {
		return sample{}, fmt.Errorf("the first page has no UID")
	}
	var top int
	fmt.Sscan(newest[1], &top)
	middle := fmt.Sprintf("/?box=INBOX&before=%d", top/2)
	for key, path := range map[string]string{"again": "/", "middle": middle} {
		if got.values[key], err = c.median(path, 20); err != nil {
			return sample{}, err
		}
	}
	for _, step := range []struct{ key, path string }{
		{"subject", "/?box=INBOX&q=subject:" + rareSubject}, {"subject-again", "/?box=INBOX&q=subject:holiday"},
		{"unread", "/?box=INBOX&show=unread"}, {"body", "/?box=INBOX&q=" + rareBody},
	} {
		if _, err := once(step.key, step.path); err != nil {
			return sample{}, err
		}
	}
	if err := arrange("subject", ""); err != nil {
		return sample{}, err
	}
	for _, key := range []string{"sort", "sort-again"} {
		if _, err := once(key, "/"); err != nil {
			return sample{}, err
		}
	}
	if err := arrange("", "1"); err != nil {
		return sample{}, err
	}
	if _, err := once("threads", "/"); err != nil {
		return sample{}, err
	}
	if err := arrange("", ""); err != nil {
		return sample{}, err
	}
	if got.values["session"], err = s.webMemory(); err != nil {
		return sample{}, err
	}
	return got, nil
}

// webLogin signs in, and does not look at the first page.
func (s *site) webLogin() (*webClient, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	c := &webClient{base: "http://" + s.web, http: http.Client{
		Jar: jar, Transport: &http.Transport{MaxIdleConns: 1},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	return c, c.post("/login", url.Values{"user": {"bench"}, "password": {password}})
}

// post sends a form, which is answered by an address.
func (c *webClient) post(path string, form url.Values) error {
	resp, err := c.http.PostForm(c.base+path, form)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther {
		return fmt.Errorf("%s: status %d", path, resp.StatusCode)
	}
	return nil
}

// webMemory tells what a session more takes, in KiB, once the folder is open.
func (s *site) webMemory() (float64, error) {
	if err := s.restart(nil); err != nil {
		return 0, err
	}
	var before int64
	for i := range webSessions + 1 {
		c, err := s.webLogin()
		if err != nil {
			return 0, err
		}
		if _, _, err := c.get("/"); err != nil {
			return 0, err
		}
		c.http.CloseIdleConnections()
		if i > 0 {
			continue
		}
		if before, err = s.memory(); err != nil { // the folder, and what any session takes
			return 0, err
		}
	}
	after, err := s.memory()
	return float64(after-before) / webSessions / 1024, err
}
