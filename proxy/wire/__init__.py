"""HTTP, both ways: the listeners and the upstream client. The only package that imports aiohttp.

Headers are an allow-list in each direction (`headers`); nothing of a request or an answer is forwarded as it came.
"""
