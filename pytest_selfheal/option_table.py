"""The table of options: what may be given, by which name, and what it is by default.

Only names and words stand here; what a value means is decided in `settings`.
"""

from __future__ import annotations

from pytest_selfheal.options import Option

DEFAULT_MODEL = "gpt-5.5"
"""A general model that the SDK lists for both APIs and that is not announced to end."""

OPTIONS: tuple[Option, ...] = (
    Option(
        flag="--selfheal",
        kind="flag",
        default=False,
        help="Heal after the run: fill in the marked stubs that failing tests reach.",
    ),
    Option(
        flag="--selfheal-doctor",
        kind="flag",
        default=False,
        help="Run no test: say what a heal would find on this machine, and what to do about it.",
    ),
    Option(
        flag="--selfheal-explain",
        metavar="TARGET",
        kind="str",
        help="Heal nothing: after the run, show which tests reach this stub (path::name), what "
        "would be asked for with it, and the prompt.",
    ),
    Option(
        flag="--selfheal-show-prompt",
        kind="flag",
        default=False,
        help="Heal nothing: after the run, show the prompts that would be sent first, one for each "
        "request, and send none.",
    ),
    Option(
        flag="--selfheal-fresh",
        kind="flag",
        default=False,
        help="Ask anew what was asked before, instead of going on with the replies that are "
        "stored.",
    ),
    Option(
        flag="--selfheal-mode",
        ini="selfheal_mode",
        metavar="MODE",
        kind="choice",
        choices=("apply", "propose", "review", "check"),
        default="apply",
        help="apply rewrites the stubs; propose leaves the tree alone and writes a patch; "
        "review shows each and asks; check calls no model and lists what is unhealed.",
    ),
    Option(
        flag="--selfheal-model",
        ini="selfheal_model",
        metavar="NAME",
        kind="str",
        default=DEFAULT_MODEL,
        help="The model's name as sent to the API; any that the endpoint offers.",
    ),
    Option(
        flag="--selfheal-base-url",
        ini="selfheal_base_url",
        metavar="URL",
        kind="url",
        help="An OpenAI-compatible endpoint, such as http://localhost:11434/v1; without it "
        "OPENAI_BASE_URL, else OpenAI's own.",
    ),
    Option(
        flag="--selfheal-api",
        ini="selfheal_api",
        metavar="API",
        kind="choice",
        choices=("auto", "responses", "chat"),
        default="auto",
        help="responses, chat (completions), or auto: Responses on OpenAI's own endpoint, "
        "Chat Completions elsewhere.",
    ),
    Option(
        flag="--selfheal-replay",
        ini="selfheal_replay",
        metavar="PATH",
        kind="path",
        help="Answer from this recording, and call nobody.",
    ),
    Option(
        flag="--selfheal-record",
        ini="selfheal_record",
        metavar="PATH",
        kind="path",
        help="Write the requests and replies of this run to a recording, to be replayed.",
    ),
    Option(
        flag="--selfheal-sandbox",
        ini="selfheal_sandbox",
        metavar="KIND",
        kind="choice",
        choices=("auto", "docker", "bubblewrap", "landlock"),
        default="auto",
        help="docker, bubblewrap, landlock, or auto: docker where its daemon answers, else "
        "bubblewrap where it may be used, else landlock, else an error.",
    ),
    Option(
        flag="--selfheal-image",
        ini="selfheal_image",
        metavar="IMAGE",
        kind="str",
        default="host",
        help="With docker: host mirrors this Python environment read-only, anything else is an "
        "image's name.",
    ),
    Option(
        flag="--selfheal-attempts",
        ini="selfheal_attempts",
        metavar="N",
        kind="int",
        default=5,
        help="How many replies of the model are tried for a stub, or a group of them.",
    ),
    Option(
        flag="--selfheal-candidates",
        ini="selfheal_candidates",
        metavar="N",
        kind="int",
        default=1,
        help="Replies to ask for at once for a stub or group, each an attempt; the first that is "
        "green wins, else the one that passes most goes on.",
    ),
    Option(
        flag="--selfheal-when-stuck",
        ini="selfheal_when_stuck",
        metavar="WHAT",
        kind="choice",
        choices=("change", "repeat"),
        default="change",
        help="Once two attempts fail alike: change the way of asking (a fresh sample, more "
        "context, the second model), or repeat the conversation.",
    ),
    Option(
        flag="--selfheal-escalate-model",
        ini="selfheal_escalate_model",
        metavar="NAME",
        kind="str",
        help="A second model at the same endpoint, asked where the first one does not get there.",
    ),
    Option(
        flag="--selfheal-escalate-after",
        ini="selfheal_escalate_after",
        metavar="N",
        kind="int",
        default=3,
        help="Failed attempts after which the second model is asked at the latest.",
    ),
    Option(
        ini="selfheal_escalate_price",
        kind="price",
        help="The second model's price, as with selfheal_price.",
    ),
    Option(
        flag="--selfheal-holdout",
        ini="selfheal_holdout",
        metavar="SHARE",
        kind="float",
        least=0,
        most=1,
        default=0.25,
        help="Share of a test's cases, where it has four or more, that the model is not shown "
        "before its last attempt and that are judged all the same; 0 turns it off.",
    ),
    Option(
        flag="--selfheal-jobs",
        ini="selfheal_jobs",
        metavar="N",
        kind="int",
        default=8,
        help="How many stubs, or groups of them, are healed at once.",
    ),
    Option(
        flag="--selfheal-timeout",
        ini="selfheal_timeout",
        metavar="SECONDS",
        kind="float",
        least=0.1,
        default=60,
        help="Wall seconds for one verification.",
    ),
    Option(
        flag="--selfheal-memory",
        ini="selfheal_memory",
        metavar="SIZE",
        kind="size",
        least=2**20,
        default="512m",
        help="Memory of one sandbox, swap included.",
    ),
    Option(
        flag="--selfheal-processes",
        ini="selfheal_processes",
        metavar="N",
        kind="int",
        default=128,
        help="Processes and threads of one sandbox.",
    ),
    Option(
        flag="--selfheal-cpus",
        ini="selfheal_cpus",
        metavar="N",
        kind="float",
        least=0.01,
        default=1.0,
        help="Processors that one sandbox may keep busy; parts of one are fine.",
    ),
    Option(
        flag="--selfheal-disk",
        ini="selfheal_disk",
        metavar="SIZE",
        kind="size",
        least=2**20,
        default="256m",
        help="What one sandbox may write, half in the project's copy and half in its /tmp.",
    ),
    Option(
        flag="--selfheal-file-size",
        ini="selfheal_file_size",
        metavar="SIZE",
        kind="size",
        least=2**12,
        default="64m",
        help="The largest single file that a sandbox may write.",
    ),
    Option(
        flag="--selfheal-open-files",
        ini="selfheal_open_files",
        metavar="N",
        kind="int",
        least=16,
        default=1024,
        help="Files that a process in a sandbox may hold open.",
    ),
    Option(
        flag="--selfheal-max-requests",
        ini="selfheal_max_requests",
        metavar="N",
        kind="int",
        help="A run's budget of requests, over all its jobs.",
    ),
    Option(
        flag="--selfheal-max-tokens",
        ini="selfheal_max_tokens",
        metavar="N",
        kind="int",
        help="A run's budget of tokens, in and out, over all its jobs.",
    ),
    Option(
        flag="--selfheal-max-cost",
        ini="selfheal_max_cost",
        metavar="DOLLARS",
        kind="float",
        least=0,
        help="A run's budget of money in US dollars, over all its jobs; the model's price must "
        "be known.",
    ),
    Option(
        flag="--selfheal-max-seconds",
        ini="selfheal_max_seconds",
        metavar="SECONDS",
        kind="float",
        least=0.1,
        help="A run's budget of wall seconds, from its first request; none is sent or waited for "
        "after that.",
    ),
    Option(
        ini="selfheal_max_requests_per_day",
        kind="int",
        help="A day's budget of requests, shared by every process of this user in this project.",
    ),
    Option(
        ini="selfheal_max_tokens_per_day",
        kind="int",
        help="A day's budget of tokens, in and out, shared in the same way.",
    ),
    Option(
        ini="selfheal_max_cost_per_day",
        kind="float",
        least=0,
        help="A day's budget of money in US dollars, shared in the same way.",
    ),
    Option(
        ini="selfheal_price",
        kind="price",
        help="The model's price in US dollars for a million tokens: in,out or "
        "in,out,cached-in; without it genai-prices is asked, where it is installed.",
    ),
    Option(
        flag="--selfheal-max-reply-tokens",
        ini="selfheal_max_reply_tokens",
        metavar="N",
        kind="int",
        help="The longest reply to ask for, thinking included; without it a bound is sent only "
        "where a budget of tokens or money needs one.",
    ),
    Option(
        flag="--selfheal-prompt-tokens",
        ini="selfheal_prompt_tokens",
        metavar="N",
        kind="int",
        least=1000,
        default=12_000,
        help="The longest prompt to send, by our own count, which is on the high side.",
    ),
    Option(
        flag="--selfheal-temperature",
        ini="selfheal_temperature",
        metavar="T",
        kind="float",
        least=0,
        help="The temperature to ask for; not sent unless given.",
    ),
    Option(
        flag="--selfheal-reasoning-effort",
        ini="selfheal_reasoning_effort",
        metavar="EFFORT",
        kind="str",
        help="How hard a reasoning model is to think, such as low or high; not sent unless given.",
    ),
    Option(
        flag="--selfheal-rpm",
        ini="selfheal_rpm",
        metavar="N",
        kind="int",
        help="Requests a minute, shared by every process of this user in this project.",
    ),
    Option(
        flag="--selfheal-tpm",
        ini="selfheal_tpm",
        metavar="N",
        kind="int",
        help="Tokens a minute, shared by every process of this user in this project.",
    ),
    Option(
        flag="--selfheal-patch",
        ini="selfheal_patch",
        metavar="PATH",
        kind="path",
        default="selfheal.patch",
        help="With propose: where the patch goes; git apply takes it from the rootdir. One that "
        "ends in .mbox holds a commit for each stub; git am takes it.",
    ),
    Option(
        flag="--selfheal-report",
        ini="selfheal_report",
        metavar="PATH",
        kind="path",
        suffixes=(".json", ".html"),
        repeatable=True,
        help="Write a report to this path, which ends in .json or .html; may be given twice.",
    ),
    Option(
        ini="selfheal_env",
        kind="names",
        help="Names of environment variables that a sandbox may see.",
    ),
    Option(
        ini="selfheal_redact",
        kind="names",
        help="Names whose values no prompt holds: environment variables, and what is assigned to "
        "such a name in what is quoted.",
    ),
    Option(
        ini="selfheal_exclude",
        kind="patterns",
        help="Files that are never read for a prompt, as patterns such as data/private/* or "
        "*.csv, relative to the rootdir.",
    ),
    Option(
        ini="selfheal_keep_marker",
        kind="bool",
        default=False,
        help="Leave the markers in place after a green heal: true or false.",
    ),
    Option(
        ini="selfheal_docker_runtime",
        kind="str",
        help="With docker: the runtime that containers are started with, such as runsc.",
    ),
    Option(
        ini="selfheal_docker_network",
        kind="str",
        help="With docker: a network that code under test may reach, such as one with a test "
        "database.",
    ),
)
