"""proxywrite: postmap -d through it, what postmap refuses of proxy: tables, proxy_write_maps (S-TABLE-09)"""
OWN, READ, DENIED = "/var/lib/postfix/own", "/var/lib/postfix/readonly", "/var/lib/postfix/denied"
for name in (OWN, READ, DENIED):
    file(name, "seed one\nother two\nthird 3\nFourth 4\n")
    quiet(f"postmap hash:{name} lmdb:{name}; chown postfix: {name}*")
quiet(f"cp {OWN} {OWN}tree; postmap btree:{OWN}tree; chown postfix: {OWN}*")
main(f"""
    own_maps = proxy:hash:{OWN}, proxy:lmdb:{OWN}, proxy:btree:{OWN}tree proxy:internal:x
    proxy_write_maps = $own_maps $address_verify_map
    proxy_read_maps = proxy:hash:{OWN} proxy:hash:{READ} proxy:lmdb:{OWN} proxy:btree:{OWN}tree
""")
start()
for kind, name in (("hash", OWN), ("btree", OWN + "tree"), ("lmdb", OWN)):
    sh(f"postmap -q seed proxy:{kind}:{name}")
    sh(f"postmap -d SEED proxy:{kind}:{name}")
    sh(f"postmap -d seed proxy:{kind}:{name}")
    sh(f"postmap -fd OTHER proxy:{kind}:{name}")
    sh(f"printf 'third\\nnosuch\\n' | postmap -d - proxy:{kind}:{name}")
    sh(f"postmap -s {kind}:{name}", sort=True)
sh(f"postalias -d fourth proxy:hash:{OWN}")
sh(f"postalias -s hash:{OWN}")
sh(f"postmap -d k proxy:hash:{READ} proxy:hash:{OWN}")
sh(f"postmap -d seed proxy:internal:x")
for name in (READ, DENIED):
    sh(f"postmap -q seed proxy:hash:{name}")
    sh(f"postmap -d seed proxy:hash:{name}")
    sh(f"postmap -i proxy:hash:{name}", "k v\n")
    sh(f"postmap -s hash:{name}", sort=True)
sh(f"postmap -i proxy:hash:{OWN}", "k v\n")
sh(f"postalias -i proxy:hash:{OWN}", "k: v\n")
sh(f"postmap -s proxy:hash:{OWN}")
sh(f"postmap proxy:hash:{OWN}")
sh(f"postalias proxy:hash:{OWN}")
log(include="proxy|postmap|postalias")
