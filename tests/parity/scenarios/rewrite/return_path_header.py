"""the header Return-Path:, if message_drop_headers lets it stay, is an address of the sender's"""
sink("eight", "192.0.2.20:25")
main("""
    smtp_connection_cache_on_demand = no
    message_drop_headers =
    canonical_maps = inline:{ {carol@example.com=Carol.Example@example.com} }
    sender_canonical_maps = inline:{ {dave@example.com=Dave.Sender@example.com} }
    recipient_canonical_maps = inline:{ {bob@example.com=Bob.Recipient@example.com} }
    smtp_generic_maps = inline:{ {alice@example.com=a.l@public.example} }
""")
start()
for number, address in enumerate(("bob", "carol@example.com", "dave@example.com", "alice", "@route.example:alice@example.com", "<>", "", "a b c@example.com", "alice, bob", "Alice <alice>")):
    sendmail(f"-f n{number}@example.org a@example.org", f"X-Number: {number}\nReturn-Path: {address}\nX-Return-Path: {address}\nDelivered-To: {address}\n\n\n")
    settle()
sinks()
