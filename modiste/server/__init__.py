"""The service: routes and pages over one shop. A door: it checks what comes in, asks the shop and shapes the answer."""
