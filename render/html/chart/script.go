package chart

import (
	_ "embed" // the files of Apache ECharts
	"strings"
)

// version is of Apache ECharts. A test compares it with the script and with the README beside it.
const version = "5.6.0"

//go:embed echarts/echarts.simple.min.js
var script []byte

//go:embed echarts/NOTICE
var notice string

// Script is the JavaScript of Apache ECharts 5.6.0 (simple build, Apache-2.0), as it was published. It defines the
// global echarts, holds no "</script" and no "<!--" and may stand in an inline script element. The caller must not
// change it.
func Script() []byte { return script }

// Licence says name, version, licence and notice of Script in a few lines, for people. Plain text.
func Licence() string {
	return "Apache ECharts " + version + " (simple build), Apache License 2.0: " +
		"https://www.apache.org/licenses/LICENSE-2.0\n" +
		strings.TrimSpace(notice) + "\n" +
		"Contains parts of d3, Copyright 2010-2016 Mike Bostock, and zrender, Copyright (c) 2017 Baidu Inc., " +
		"both under the BSD 3-Clause License: https://opensource.org/license/bsd-3-clause"
}
