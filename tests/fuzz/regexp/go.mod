module regexp-oracle

go 1.24
