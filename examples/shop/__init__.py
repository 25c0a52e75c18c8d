"""A package of several modules: an invoice, its lines and its taxes.

As a task: {"task": "shop.invoice.total", "args": [[["tea", 2, "3.50"]], "DE"]}
"""
