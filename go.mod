module github.com/minamo-flow/minamo

go 1.26
