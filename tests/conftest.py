from hypothesis import settings

pytest_plugins = ["pytester"]

# A busy machine is no failure.
settings.register_profile("selfheal", deadline=None)
settings.load_profile("selfheal")
