"""The trade: customers, charges and their import; knows money, not sockets."""
