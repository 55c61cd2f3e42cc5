"""The fixed forms of keys and tokens that `detect-secrets` knows, where it is installed.

Only those of its rules are taken that hardly ever match what is no secret. Those that go by
entropy or by a variable's name would cut the sample data out of tests, without which their
stubs cannot be healed. That for npm takes minutes over a long line with many addresses; what
it finds, our own rules find.
"""

from __future__ import annotations

import importlib
import re
from contextlib import suppress
from functools import cache

_DETECTORS = {
    "aws": "AWSKeyDetector",
    "azure_storage_key": "AzureStorageKeyDetector",
    "discord": "DiscordBotTokenDetector",
    "github_token": "GitHubTokenDetector",
    "gitlab_token": "GitLabTokenDetector",
    "mailchimp": "MailchimpDetector",
    "openai": "OpenAIDetector",
    "pypi_token": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "square_oauth": "SquareOAuthDetector",
    "stripe": "StripeDetector",
    "telegram_token": "TelegramBotTokenDetector",
    "twilio": "TwilioKeyDetector",
}


@cache
def known_forms() -> tuple[re.Pattern[str], ...]:
    """Give the patterns, each of which matches a whole secret; none without the package."""
    found: list[re.Pattern[str]] = []
    for module, name in _DETECTORS.items():
        # A later version may have moved or renamed one.
        with suppress(ImportError, AttributeError):
            detector = getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name)
            found += [form for form in detector.denylist if isinstance(form, re.Pattern)]
    return tuple(found)
