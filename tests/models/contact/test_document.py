"""What a policy file means, and what is wrong with one: all at once, each with its line and column, what was expected and what to do."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keepline.features.churn import CHURN
from keepline.jobs.settings import PRETRAINED
from keepline.models.contact.document import DEFAULT, TOP, load
from keepline.models.contact.names import names_of, names_of_all
from keepline.models.contact.rules import (
    CHANNELS,
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    Budget,
    Cap,
    Condition,
    Escalation,
    Fall,
    Happens,
    Holdout,
    Level,
    Offer,
    Policy,
    QuietHours,
    Rise,
    Trigger,
)
from keepline.models.contact.values import PolicyError
from keepline.models.contact.watched import MOST_LEVELS, watched_levels
from keepline.models.manifest import load as load_model
from tests.models.contact.policy_files import BASE, FEATURES, MODEL, SEVERAL, read

TOLD = ", ".join(TOP)
LETTERS = "at most 64 letters, digits, dots, dashes and _, a letter or a digit first"
OFFER = "for, if, channels, offer, cooldown, valid, service, campaign"
SCORE = "score, at_least, below, rises_by, falls_by, within, priority"
MOVES = "at_least: or below:, or rises_by: or falls_by: with within:"
ONE_OF_THEM = "expected a level, a rise or a fall; make it two triggers"
AS_PROBABILITY = "expected a number above 0 and below 1, as the score is a probability"
SHARE = "expected a share above 0 and below all, such as 10% or 0.1"
EVENTS = "Call, DataSession, Message, SupportContact, Bill, Payment, Subscription, Purchase, PageView, PromotionResponse, Unlock, AppOpen"
RISK = "score: churn, at_least: threshold"
LATE = "overdue_bills, at_least: 1"
IF = "[{reason: [bill_rise]}, {feature: monthly_charge, at_least: 70, below: 200}]"
REASON = "{reason: [bill_rise]}"
BONUS = '    offer: "A bonus"'
ERRORS = [
    # what is put in place of what, line:column, the whole message
    ("version: 3", "version: 0", "2:10", "version of the file is '0' (int): expected a whole number from 1"),
    ("version: 3", "version: 3.5", "2:10", "version of the file is '3.5' (float): expected a whole number from 1"),
    ("version: 3", "version: true", "2:10", "version of the file is 'true' (bool): expected a whole number from 1"),
    ("version: 3", "version: 2147483648", "2:10", "version of the file is '2147483648' (int): expected a whole number from 1"),
    ("version: 3", "version:", "2:1", "version of the file is empty: expected a whole number from 1"),
    ("version: 3\n", "", "1:1", "the file has no version: expected version:; add it"),
    ("policy: telecom\n", "", "1:1", "the file has no policy: expected policy:; add it"),
    ("version: 3", "version: 3\nversion: 4", "3:1", "version comes twice in the file: expected once; remove one"),
    ("version: 3", "version: 3\ntimezone: UTC", "3:1",
     f"unknown key 'timezone' in the file; did you mean time_zone?; expected {TOLD}"),
    ("policy: telecom", "policy: a|b", "1:9", f"policy of the file is 'a|b': expected {LETTERS}"),
    ("policy: telecom", "policy: [a]", "1:9", f"policy of the file is a list: expected {LETTERS}"),
    ("Europe/Berlin", "Europe/Berln", "3:12",
     "time_zone of the file is 'Europe/Berln': expected an IANA name such as Europe/Berlin; did you mean Europe/Berlin?"),
    ("marketing: assumed", "marketing: assume", "4:22",
     "marketing of consent is 'assume': expected one of required, assumed; did you mean assumed?"),
    ("marketing:", "advertising:", "4:11",
     "unknown key 'advertising' in consent; did you mean marketing?; expected marketing, profiling"),
    ("consent: {marketing: assumed, profiling: required}", "consent: required", "4:10",
     "consent is 'required': expected key: value lines"),
    # quiet hours
    ('"21:00"', '"25:00"', "6:12", 'from of quiet hours is \'25:00\': expected a local time from "00:00" to "23:59"'),
    ('"21:00"', '"24:00"', "6:12",
     'from of quiet hours is \'24:00\': expected a local time from "00:00" to "23:59"; midnight is "00:00"'),
    ('"21:00"', "21", "6:12", 'from of quiet hours is \'21\' (int): expected a local time from "00:00" to "23:59"'),
    ('to: "08:30", ', "", "6:5", "quiet hours has no to: expected to:; add it"),
    ('from: "21:00"', 'form: "21:00"', "6:6", "unknown key 'form' in quiet hours; did you mean from?; expected from, to, channels"),
    ('to: "08:30"', 'to: "21:00"', "6:25",
     'quiet hours end when they begin: expected two times, such as from: "21:00", to: "08:00"'),
    ("[SMS, CALL]", "[SMS, sms]", "6:50", "channels of quiet hours has 'sms': expected a channel; did you mean SMS?"),
    ("[SMS, CALL]", "[SMS, SMS]", "6:50", "SMS comes twice in channels of quiet hours: expected once; remove one"),
    ("[SMS, CALL]", "[]", "6:44", "channels of quiet hours is an empty list: expected at least one"),
    ("[SMS, CALL]", "FAX", "6:44", "channels of quiet hours is 'FAX': expected a channel: SMS, EMAIL, PUSH, CALL"),
    ("[SMS, CALL]}", '[SMS, CALL]}\n  - {from: "08:00", to: "21:00", channels: SMS}', "7:12",
     "quiet hours cover the whole day for SMS: expected some time that is left; shorten them"),
    ("[SMS, CALL]}", '[SMS, CALL]}\n  - {from: "08:30", to: "12:00"}\n  - {from: "11:00", to: "21:00"}', "8:12",
     "quiet hours cover the whole day for SMS, CALL: expected some time that is left; shorten them"),
    ("[SMS, CALL]}", '[SMS, CALL]}\n  - {from: "21:00", to: "08:30", channels: [SMS, CALL]}', "7:5",
     "the same quiet hours come twice: expected once; remove one"),
    # caps
    ("at_most: 1, per", "at_most: 0, per", "8:15", "at_most of a cap is '0' (int): expected a whole number from 1"),
    ("at_most: 1, per", "atmost: 1, per", "8:6", "unknown key 'atmost' in a cap; did you mean at_most?; expected at_most, per, channel"),
    (", per: 1d", "", "8:5", "a cap has no per: expected per:; add it"),
    ("per: 1d", "per: 1", "8:23", "per of a cap is '1' (int): expected a duration such as 30m, 12h or 7d"),
    ("per: 1d", "per: 0d", "8:23", "per of a cap is '0d': expected more than nothing, such as 30m, 12h or 7d"),
    ("per: 1d", "per: 1 day", "8:23", "per of a cap is '1 day': expected a duration such as 30m, 12h or 7d"),
    ("per: 1d", "per: 99999d", "8:23",
     "per of a cap is '99999d': expected a duration such as 30m, 12h or 7d; '99999d' is too long: expected at most 36500d"),
    ("per: 1d}", "per: 1d}\n  - {at_most: 2, per: 24h}", "9:5",
     "there is a cap of 1 for the same time and channel: expected one; keep the lower"),
    ("per: 1d}", "per: 1d, channel: push}", "8:36", "channel of a cap is 'push': expected a channel; did you mean PUSH?"),
    ("  - {at_most: 1, per: 1d}\n", "  []\n", "8:3", "caps is an empty list: expected at least one"),
    # control group
    ("10%", "110%", "9:36", f"control of holdout is '110%': {SHARE}"),
    ("10%", "0%", "9:36", f"control of holdout is '0%': {SHARE}"),
    ("10%", "1", "9:36", f"control of holdout is '1' (int): {SHARE}"),
    ("10%", "-0.1", "9:36", f"control of holdout is '-0.1' (float): {SHARE}"),
    ("10%", ".nan", "9:36", f"control of holdout is '.nan' (float): {SHARE}"),
    ("p-1", "p 1", "9:22", f"programme of holdout is 'p 1': expected {LETTERS}"),
    ("programme: p-1, ", "", "9:1", "holdout has no programme: expected programme:; add it"),
    # triggers
    (RISK, "score: clv, at_least: threshold", "11:20",
     "score of trigger at_risk is 'clv': expected the only score that is computed: churn"),
    (RISK, "score: churn, at_least: high", "11:37",
     "at_least of trigger at_risk is 'high': expected a number, or one of threshold, MEDIUM, HIGH; did you mean HIGH?"),
    (RISK, "score: churn, at_least: 25", "11:37",
     "at_least of trigger at_risk is 25: expected a number above 0 and below 1, as the score is a probability"),
    (RISK, "score: churn, at_least: 0", "11:37",
     "at_least of trigger at_risk is 0: expected a number above 0 and below 1, as the score is a probability"),
    (RISK, "score: churn, at_least: .nan", "11:37",
     "at_least of trigger at_risk is '.nan' (float): expected a number, or one of threshold, MEDIUM, HIGH"),
    (RISK, "score: churn", "11:3", f"trigger at_risk does not say when it fires: expected {MOVES}"),
    (RISK, "at_least: threshold", "11:3", "trigger at_risk does not say what it is about: expected score, feature or event"),
    (RISK, "scroe: churn, at_least: threshold", "11:13",
     "trigger at_risk does not say what it is about: expected score, feature or event; did you mean score?"),
    (RISK, "score: churn, feature: bill_rise, at_least: 1", "11:27",
     "trigger at_risk has score and feature: expected one of them; make it two"),
    (RISK, "score: churn, atleast: threshold", "11:27",
     f"unknown key 'atleast' in trigger at_risk, beside score; did you mean at_least?; expected {SCORE}"),
    ("priority: 10", "priority: high", "11:58", "priority of trigger at_risk is 'high': expected a whole number from 0"),
    ("priority: 10", "prioriy: 10", "11:48",
     f"unknown key 'prioriy' in trigger at_risk, beside score; did you mean priority?; expected {SCORE}"),
    ("priority: 10", "within: 7d", "11:48", f"trigger at_risk has at_least and within: {ONE_OF_THEM}"),
    ("priority: 10", "rises_by: 0.1", "11:48", f"trigger at_risk has at_least and rises_by: {ONE_OF_THEM}"),
    ("rises_by: 0.2, ", "", "12:3", "trigger rising has within, but no rises_by or falls_by: expected one of them; add it"),
    ("rises_by: 0.2, ", "falls_by: 0.2, rises_by: 0.2, ", "12:26",
     "trigger rising has rises_by and falls_by: expected one of them; make it two triggers"),
    ("rises_by: 0.2", "falls_by: 120%", "12:36", f"falls_by of trigger rising is '120%': {SHARE}"),
    ("rises_by: 0.2", "falls_by: much", "12:36", f"falls_by of trigger rising is 'much': {SHARE}"),
    ("rises_by: 0.2, within: 7d", "falls_by: 30%", "12:3", "trigger rising has no within: expected within:; add it"),
    (RISK, "score: churn, below: 0.2, falls_by: 30%, within: 1d", "11:39",
     f"trigger at_risk has below and falls_by: {ONE_OF_THEM}"),
    (RISK, "score: churn, at_least: HIGH, below: MEDIUM", "11:3",
     "no number is at least 0.5 and below 0.125: expected at_least: less than below:"),
    (RISK, "score: churn, at_least: D8", "11:37",
     "at_least of trigger at_risk is 'D8': expected a number, or one of threshold, MEDIUM, HIGH"),
    (RISK, "score: churn, below: 1", "11:34", f"below of trigger at_risk is 1: {AS_PROBABILITY}"),
    (LATE, "overdue_bills, below: MEDIUM", "14:43", "below of trigger missed is 'MEDIUM': expected a number"),
    (LATE, "overdue_bills, below: 1, at_least: 1", "14:3",
     "no number is at least 1 and below 1: expected at_least: less than below:"),
    (LATE, "overdue_bills, at_least: 1, falls_by: 30%", "14:49",
     "unknown key 'falls_by' in trigger missed, beside feature; expected feature, at_least, below, priority"),
    (", within: 7d", "", "12:3", "trigger rising has no within: expected within:; add it"),
    ("rises_by: 0.2", "rises_by: 0", "12:36",
     "rises_by of trigger rising is '0' (int): expected a number above 0 and below 1, as the score is a probability"),
    ("rises_by: 0.2", "rises_by: 1.5", "12:36",
     "rises_by of trigger rising is '1.5' (float): expected a number above 0 and below 1, as the score is a probability"),
    ("rises_by: 0.2", "rises_by: threshold", "12:36", "rises_by of trigger rising is 'threshold': expected a number"),
    ("within: 7d", "within: week", "12:49", "within of trigger rising is 'week': expected a duration such as 30m, 12h or 7d"),
    ("event: SupportContact", "event: SupportContacts", "13:22",
     "event of trigger complaint is 'SupportContacts': expected a type of event that is no control record; did you mean SupportContact?"),
    ("event: SupportContact", "event: Consent", "13:22",
     f"event of trigger complaint is 'Consent': expected a type of event that is no control record: {EVENTS}"),
    ("topic: [COMPLAINT", "topc: [COMPLAINT", "13:38",
     "unknown key 'topc' in trigger complaint, beside event; did you mean topic?; expected event, priority, channel, topic"),
    ("topic: [COMPLAINT, CANCELLATION]", "resolved: true", "13:38",
     "unknown key 'resolved' in trigger complaint, beside event; expected event, priority, channel, topic"),
    ("[COMPLAINT, CANCELLATION]", "[COMPLAIN, OTHER]", "13:46",
     "topic of trigger complaint has 'COMPLAIN': expected a symbol of SupportContact.topic; did you mean COMPLAINT?"),
    ("[COMPLAINT, CANCELLATION]", "COMPLAINT, channel: PHONE", "13:56",
     "trigger complaint has topic and channel: expected at most one field; remove one"),
    ("[COMPLAINT, CANCELLATION]", "[OTHER, OTHER]", "13:53", "OTHER comes twice in topic of trigger complaint: expected once; remove one"),
    (LATE, "overdue_bill, at_least: 1", "14:21",
     "feature of trigger missed is 'overdue_bill': expected a feature of the model; did you mean overdue_bills?"),
    (LATE, "zzz, at_least: 1", "14:21",
     "feature of trigger missed is 'zzz': expected a feature of the model: overdue_bills, bill_rise, monthly_charge, data_mb_30d"),
    (LATE, "overdue_bills", "14:3", "trigger missed does not say when it fires: expected at_least: or below:"),
    (LATE, "overdue_bills, at_least: threshold", "14:46", "at_least of trigger missed is 'threshold': expected a number"),
    (LATE, "overdue_bills, at_least: 1, within: 7d", "14:49",
     "unknown key 'within' in trigger missed, beside feature; expected feature, at_least, below, priority"),
    ("  missed:", "  Missed:", "14:3",
     "a name in triggers is 'Missed': expected at most 64 lower-case letters, digits and _, a letter first"),
    ("{feature: overdue_bills, at_least: 1}", "{score: churn, at_least: 0.25}", "14:3",
     "trigger missed fires whenever at_risk does: expected one of them; remove one"),
    (" {feature: overdue_bills, at_least: 1}", "", "14:3", "trigger missed is empty: expected key: value lines"),
    ("{feature: overdue_bills, at_least: 1}", "{}", "14:3",
     "trigger missed does not say what it is about: expected score, feature or event"),
    ("{feature: overdue_bills, at_least: 1}", "often", "14:11", "trigger missed is 'often': expected key: value lines"),
    ("  missed:", "  rising:", "14:3", "rising comes twice in triggers: expected once; remove one"),
    ("  missed:", "  <<: {}\n  missed:", "14:3", "<< is not merged here: write out what belongs to each"),
    # offers
    ("[complaint, missed, at_risk]", "[complaint, mised, at_risk]", "23:22",
     "for of offer sorry has 'mised': expected a trigger of this file; did you mean missed?"),
    ("[complaint, missed, at_risk]", "[complaint, missed, unpaid]", "23:30",
     "for of offer sorry has 'unpaid': expected a trigger of this file: at_risk, rising, complaint, missed"),
    ("[complaint, missed, at_risk]", "[complaint, missed, missed]", "23:30",
     "missed comes twice in for of offer sorry: expected once; remove one"),
    ("[complaint, missed, at_risk]", "[complaint, at_risk]", "14:3",
     "no offer is for the trigger missed: expected one; add it to for: of an offer, or remove the trigger"),
    ("    for: [complaint, missed, at_risk]\n", "", "22:3", "offer sorry has no for: expected for:; add it"),
    ("[at_risk, rising]", "[]", "17:10", "for of offer bonus is an empty list: expected at least one"),
    ("reason: [bill_rise]", "reason: [bill_rise, bil_rise]", "18:31",
     "reason of a condition of offer bonus has 'bil_rise': expected a feature of the model; did you mean bill_rise?"),
    ("reason: [bill_rise]", "reasons: [bill_rise]", "18:11",
     "a condition of offer bonus does not say what it is about: expected reason, feature or score; did you mean reason?"),
    (REASON, "{}", "18:10", "a condition of offer bonus does not say what it is about: expected reason, feature or score"),
    (REASON, "{reason: bill_rise, at_least: 1}", "18:30",
     "unknown key 'at_least' in a condition of offer bonus, beside reason; expected reason"),
    (REASON, "{feature: bill_rise}", "18:10", "a condition of offer bonus has no limit: expected at_least: or below:, or both"),
    (REASON, "{feature: bill_rise, score: churn, below: 1}", "18:31",
     "a condition of offer bonus has feature and score: expected one of them; make it two"),
    (REASON, "{score: churn, below: 2}", "18:32",
     "below of a condition of offer bonus is 2: expected a number above 0 and below 1, as the score is a probability"),
    ("below: 200", "below: 60", "18:33", "no number is at least 70 and below 60: expected at_least: less than below:"),
    ("below: 200", "under: 200", "18:73",
     "unknown key 'under' in a condition of offer bonus, beside feature; expected feature, at_least, below"),
    ("at_least: 70", "at_least: HIGH", "18:69", "at_least of a condition of offer bonus is 'HIGH': expected a number"),
    (IF, "[]", "18:9", "if of offer bonus is an empty list: expected at least one"),
    (IF, "bill_rise", "18:9", "a condition of offer bonus is 'bill_rise': expected key: value lines"),
    ("channels: [PUSH, SMS]", "channels: [PUSH, MAIL]", "19:22",
     "channels of offer bonus has 'MAIL': expected a channel; did you mean EMAIL?"),
    ("channels: [PUSH, SMS]", "channel: [PUSH, SMS]", "19:5",
     f"unknown key 'channel' in offer bonus; did you mean channels?; expected {OFFER}"),
    ("    channels: [PUSH, SMS]\n", "", "16:3", "offer bonus has no channels: expected channels:; add it"),
    ('offer: "A bonus"', 'offer: ""', "20:12", "offer of offer bonus is '': expected a text; put it in quotes if it is one"),
    ('offer: "A bonus"', "offer: 5", "20:12", "offer of offer bonus is '5' (int): expected a text; put it in quotes if it is one"),
    (BONUS + "\n", "", "16:3", "offer bonus has no offer: expected offer:; add it"),
    (BONUS, BONUS + "\n    cooldown: 0d", "21:15", "cooldown of offer bonus is '0d': expected more than nothing, such as 30m, 12h or 7d"),
    (BONUS, BONUS + "\n    valid: 7", "21:12", "valid of offer bonus is '7' (int): expected a duration such as 30m, 12h or 7d"),
    (BONUS, BONUS + "\n    service: yes", "21:14", "service of offer bonus is 'yes': expected true or false"),
    ("  sorry:", "  bonus:", "22:3", "bonus comes twice in offers: expected once; remove one"),
    ("  sorry:", "  Sorry-x:", "22:3",
     "a name in offers is 'Sorry-x': expected at most 64 lower-case letters, digits and _, a letter first"),
    ("[complaint, missed, at_risk]\n", "[missed, complaint]\n    if: [{feature: bill_rise, below: 1}, {feature: bill_rise, at_least: 1}]\n",
     "22:3", "the offer sorry can never be made: its conditions never hold together when missed fires: correct them"),
    ("escalation:", '  late:\n    for: complaint\n    channels: EMAIL\n    offer: "x"\nescalation:', "29:3",
     "the offer late can never be made: all its customers are taken by sorry before it: move it up, or put a condition there"),
    # what follows
    ("kind: ticket", "kind: sorry", "29:31",
     "kind of escalation is 'sorry', and so is an offer's: expected a name of its own; choose another"),
    ("  sorry:", "  ticket:", "29:31",
     "kind of escalation is 'ticket', and so is an offer's: expected a name of its own; choose another"),
    ("after: 7d, ", "", "29:1", "escalation has no after: expected after:; add it"),
    ("kind: ticket", "channel: FAX", "29:34", "channel of escalation is 'FAX': expected a channel: SMS, EMAIL, PUSH, CALL"),
    ("{after: 7d, kind: ticket}", "7d", "29:13", "escalation is '7d': expected key: value lines"),
    ("shards: 4", "shards: 200", "31:34", "budget spring has 200 shards for 100 a day: expected no more shards; lower them"),
    ("shards: 4", "shards: 2000", "31:34", "shards of budget spring is '2000' (int): expected a whole number from 1 to 1024"),
    ("per_day: 100, ", "", "31:3", "budget spring has no per_day: expected per_day:; add it"),
    ("per_day: 100", "perday: 100", "31:12", "unknown key 'perday' in budget spring; did you mean per_day?; expected per_day, shards"),
    ("  spring: {per_day: 100, shards: 4}", "  {}", "30:1",
     "budgets is empty: expected a campaign, such as spring: {per_day: 1000}; remove it if there is none"),
    ("campaign: spring", "campaign: sprng", "31:3",
     "no offer has campaign: spring: expected one that does; did you mean sprng?; add it there, or remove this"),
    ("    campaign: spring\n", "", "30:3", "no offer has campaign: spring: expected one that does; add it there, or remove this"),
    ("landing: 14d", "landing: 14", "32:21", "landing of outcomes is '14' (int): expected a duration such as 30m, 12h or 7d"),
    ("landing:", "window:", "32:12", "unknown key 'window' in outcomes; expected landing"),
    ("[PUSH, SMS]", "[PUSH, SMS", "20:10",
     "not YAML: while parsing a flow sequence expected ',' or ']', but got ':'; check indentation, colons and quotes"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "place", "message"), ERRORS, ids=[f"{place} {message[:50]}" for _, _, place, message in ERRORS])
def test_one_error(old: str, new: str, place: str, message: str) -> None:
    assert old in BASE
    with pytest.raises(PolicyError) as error:
        read(BASE.replace(old, new, 1))
    told = str(error.value).splitlines()
    assert f"p.yaml:{place}: {message}" in told
    if "  missed:" not in old and "  sorry:" not in old:  # what refers to a name that is gone is wrong too
        assert len(told) == 1, told


@pytest.mark.parametrize("name", ["quiet_hours", "cap", "control", "still_at_risk"])
def test_no_trigger_is_named_like_a_reason(name: str) -> None:
    with pytest.raises(PolicyError) as error:
        read(BASE.replace("rising", name))
    (found,) = str(error.value).splitlines()
    code = name.upper()
    wanted = f"trigger {name} would give its decisions the reason {code}, which has a meaning of its own: rename it"
    assert found == f"p.yaml:12:3: {wanted}"


def test_what_the_base_means() -> None:
    assert read(BASE) == Policy(
        name="telecom",
        version=3,
        time_zone="Europe/Berlin",
        marketing_required=False,
        profiling_required=True,
        quiet=(QuietHours(21 * 60, 8 * 60 + 30, ("SMS", "CALL")),),
        caps=(Cap(1, DAY_MS),),
        holdout=Holdout("p-1", 0.1),
        triggers=(
            Trigger("at_risk", Level("score:churn", 0.25), 10),
            Trigger("rising", Rise("score:churn", 0.2, 7 * DAY_MS)),
            Trigger("complaint", Happens("SupportContact", "topic", ("COMPLAINT", "CANCELLATION"))),
            Trigger("missed", Level("feature:overdue_bills", 1.0)),
        ),
        offers=(
            Offer(
                "bonus",
                "A bonus",
                ("PUSH", "SMS"),
                ("at_risk", "rising"),
                (Condition(reasons=("bill_rise",)), Condition("feature:monthly_charge", 70.0, 200.0)),
                campaign="spring",
            ),
            Offer("sorry", "Sorry", ("CALL",), ("complaint", "missed", "at_risk"), (), True, 12 * HOUR_MS, 30 * MINUTE_MS),
        ),
        escalation=Escalation(7 * DAY_MS, "ticket"),
        budgets=(Budget("spring", 100, 4),),
        landing_ms=14 * DAY_MS,
    )
    assert read(BASE).source == BASE


def test_what_is_not_written_is_the_default() -> None:
    least = (
        "policy: p\nversion: 1\ntriggers:\n  moved: {event: Subscription}\noffers:\n  hello: {for: moved, channels: EMAIL, offer: Hello}\n"
    )
    policy = read(least)
    assert policy == Policy("p", 1, (Trigger("moved", Happens("Subscription")),), (Offer("hello", "Hello", ("EMAIL",), ("moved",)),))
    assert (policy.time_zone, policy.marketing_required, policy.profiling_required) == ("UTC", True, False)
    assert (policy.offers[0].cooldown_ms, policy.offers[0].valid_ms, policy.landing_ms) == (30 * DAY_MS, 7 * DAY_MS, 30 * DAY_MS)
    assert (policy.caps, policy.quiet, policy.holdout, policy.escalation, policy.budgets) == ((), (), None, None, ())
    assert read(least + "escalation: {after: 1d}\n").escalation == Escalation(DAY_MS)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("at_least: threshold", "at_least: MEDIUM", lambda policy: policy.triggers[0].when == Level("score:churn", 0.125)),
        ("at_least: threshold", "at_least: HIGH", lambda policy: policy.triggers[0].when == Level("score:churn", 0.5)),
        ("at_least: threshold", "at_least: 0.75", lambda policy: policy.triggers[0].when == Level("score:churn", 0.75)),
        ("at_least: 1}", "at_least: -2.5}", lambda policy: policy.triggers[3].when == Level("feature:overdue_bills", -2.5)),
        (REASON, "{score: churn, below: HIGH}", lambda policy: policy.offers[0].conditions[0] == Condition("score:churn", below=0.5)),
        (IF, "{feature: bill_rise, at_least: 3}",
         lambda policy: policy.offers[0].conditions == (Condition("feature:bill_rise", 3.0, math.inf),)),
        ("10%", "0.1", lambda policy: policy.holdout.share == 0.1),
        ("10%", "'2.5 %'", lambda policy: policy.holdout.share == 0.025),
        ('"21:00"', "21:00", lambda policy: policy.quiet[0].start == 1260),
        (', channels: [SMS, CALL]', "", lambda policy: policy.quiet[0].channels == CHANNELS),
        ('"21:00", to: "08:30"', '"00:00", to: "23:59"', lambda policy: policy.quiet[0] == QuietHours(0, 1439, ("SMS", "CALL"))),
        ("per: 1d}", "per: 90m, channel: EMAIL}", lambda policy: policy.caps == (Cap(1, 90 * MINUTE_MS, "EMAIL"),)),
        ("per: 1d}", "per: 1d}\n  - {at_most: 9, per: 1h}", lambda policy: policy.caps[1] == Cap(9, HOUR_MS)),  # never reached: fine
        ("topic: [COMPLAINT, CANCELLATION]", "channel: CHAT",
         lambda policy: policy.triggers[2].when == Happens("SupportContact", "channel", ("CHAT",))),
        (", shards: 4", "", lambda policy: policy.budgets == (Budget("spring", 100, 1),)),
        ("budgets:\n  spring: {per_day: 100, shards: 4}\n", "", lambda policy: policy.offers[0].campaign == "spring"),
    ],
)  # fmt: skip
def test_other_ways_to_write(old: str, new: str, found: object) -> None:
    assert old in BASE
    assert found(read(BASE.replace(old, new, 1)))  # type: ignore[operator]


def test_all_errors_at_once_in_the_order_of_the_file() -> None:
    text = (
        BASE.replace("version: 3", "version: x").replace("per: 1d", "per: 1").replace("overdue_bills", "overdue").replace("[PUSH", "[POSH")
    )
    text = text.replace("at_risk, rising", "at_risk, risen").replace("kind: ticket", "kind: sorry").replace("landing: 14d", "landing: x")
    with pytest.raises(PolicyError) as error:
        read(text)
    places = [(2, 10), (8, 23), (14, 21), (17, 20), (19, 16), (29, 31), (32, 21)]
    assert [(problem.line, problem.column) for problem in error.value.problems] == places
    assert str(error.value).splitlines() == [f"p.yaml:{one.line}:{one.column}: {one.message}" for one in error.value.problems]


def test_no_policy(tmp_path: Path) -> None:
    empty = "p.yaml:1:1: the file is empty: expected policy:, version:, triggers: and offers:; see docs/policy.md"
    for text, words in (
        ("", empty),
        ("- a", "p.yaml:1:1: the file is a list: expected key: value lines"),
        ("x" * (2 << 20), "p.yaml: the file has"),
    ):
        with pytest.raises(PolicyError) as error:
            read(text)
        assert str(error.value).startswith(words)
    file = tmp_path / "p.yaml"
    with pytest.raises(PolicyError, match=re.escape(f"{file}: the policy cannot be read: No such file or directory; check the path")):
        load(file, MODEL)
    file.write_bytes(b"\xff\xfe\0")
    with pytest.raises(PolicyError, match="it is not UTF-8"):
        load(file, MODEL)
    file.write_text(BASE)
    assert load(file, MODEL) == read(BASE)


def test_no_more_levels_than_a_signal_has_bits_for() -> None:
    def of(count: int) -> str:
        lines = [f"  t{i}: {{feature: bill_rise, at_least: {i}}}" for i in range(count)]
        names = ", ".join(f"t{i}" for i in range(count))
        return "policy: p\nversion: 1\ntriggers:\n" + "\n".join(lines) + f"\noffers:\n  x: {{for: [{names}], channels: SMS, offer: x}}\n"

    assert len(watched_levels(read(of(MOST_LEVELS)))) == MOST_LEVELS
    with pytest.raises(PolicyError, match=f"p.yaml:3:1: more than {MOST_LEVELS} triggers have at_least"):
        read(of(MOST_LEVELS + 1))


def test_watched_levels_are_in_the_order_of_the_triggers() -> None:
    assert watched_levels(read(BASE)) == (Level("score:churn", 0.25), Level("feature:overdue_bills", 1.0))


ALIVE, CLV = "score: p_alive", "score: clv_bgnbd"
CLV_WORDS = "MEDIUM, HIGH, D1, D2, D3, D4, D5, D6, D7, D8, D9"
AS_MONEY = "expected a number above 0, as the score is an amount of money"


def with_last(trigger: str) -> str:
    """The file with its last trigger in other words: line 14, of which the trigger begins at column 12."""
    return BASE.replace("{feature: overdue_bills, at_least: 1}", "{" + trigger + "}")


@pytest.mark.parametrize(
    ("trigger", "when"),
    [
        (f"{ALIVE}, below: 0.3", Level("score:p_alive", below=0.3)),
        (f"{ALIVE}, below: MEDIUM", Level("score:p_alive", below=0.3)),
        (f"{ALIVE}, at_least: MEDIUM, below: HIGH", Level("score:p_alive", 0.3, 0.7)),
        (f"{ALIVE}, rises_by: 0.4, within: 1d", Rise("score:p_alive", 0.4, DAY_MS)),
        (f"{ALIVE}, falls_by: 0.4, within: 1d", Fall("score:p_alive", 0.4, DAY_MS)),
        (f"{CLV}, at_least: HIGH", Level("score:clv_bgnbd", 400.0)),
        (f"{CLV}, below: MEDIUM", Level("score:clv_bgnbd", below=20.0)),
        (f"{CLV}, at_least: D8", Level("score:clv_bgnbd", 400.0)),
        (f"{CLV}, below: D3", Level("score:clv_bgnbd", below=20.0)),
        (f"{CLV}, at_least: 1.5, below: D5", Level("score:clv_bgnbd", 1.5, 75.5)),
        (f"{CLV}, falls_by: 30%, within: 30d", Fall("score:clv_bgnbd", 0.3, 30 * DAY_MS)),
        ("score: clv_regression, at_least: HIGH", Level("score:clv_regression", 300.0)),
        ("score: churn, falls_by: 30%, within: 12h", Fall("score:churn", 0.3, 12 * HOUR_MS)),
        ("score: churn, below: threshold", Level("score:churn", below=0.25)),
        ("feature: orders_90d, below: 1", Level("feature:orders_90d", below=1.0)),
        ("feature: orders_90d, at_least: 1, below: 3", Level("feature:orders_90d", 1.0, 3.0)),
    ],
)
def test_triggers_on_several_scores(trigger: str, when: object) -> None:
    assert load(with_last(trigger), SEVERAL, "p.yaml").triggers[3] == Trigger("missed", when)


@pytest.mark.parametrize(
    ("asked", "condition"),
    [
        (f"{CLV}, at_least: HIGH", Condition("score:clv_bgnbd", 400.0)),
        (f"{CLV}, at_least: D2, below: D8", Condition("score:clv_bgnbd", 10.0, 400.0)),
        (f"{ALIVE}, below: D9", None),
        (f"{ALIVE}, below: HIGH", Condition("score:p_alive", below=0.7)),
        ("feature: orders_90d, below: 1", Condition("feature:orders_90d", below=1.0)),
    ],
)
def test_conditions_on_several_scores(asked: str, condition: Condition | None) -> None:
    text = BASE.replace(REASON, "{" + asked + "}")
    if condition is None:
        with pytest.raises(
            PolicyError, match=r"p.yaml:18:34: below of a condition of offer bonus is D9, which is 1: expected a number above 0"
        ):
            load(text, SEVERAL, "p.yaml")
    else:
        assert load(text, SEVERAL, "p.yaml").offers[0].conditions[0] == condition


@pytest.mark.parametrize(
    ("trigger", "place", "message"),
    [
        (f"{ALIVE}, below: threshold", "14:35",
         f"below of trigger missed is 'threshold': expected a number, or one of {CLV_WORDS}"),
        (f"{ALIVE}, below: 30", "14:35", f"below of trigger missed is 30: {AS_PROBABILITY}"),
        (f"{ALIVE}, at_least: D8", "14:38", f"at_least of trigger missed is D8, which is 1: {AS_PROBABILITY}"),
        (f"{CLV}, at_least: threshold", "14:40",
         f"at_least of trigger missed is 'threshold': expected a number, or one of {CLV_WORDS}"),
        (f"{CLV}, at_least: D10", "14:40",
         f"at_least of trigger missed is 'D10': expected a number, or one of {CLV_WORDS}; did you mean D1?"),
        (f"{CLV}, at_least: 0", "14:40", f"at_least of trigger missed is 0: {AS_MONEY}"),
        (f"{CLV}, below: -5", "14:37", f"below of trigger missed is -5: {AS_MONEY}"),
        (f"{CLV}, below: D1", "14:37", f"below of trigger missed is D1, which is 0: {AS_MONEY}"),
        (f"{CLV}, at_least: HIGH, below: D3", "14:3", "no number is at least 400 and below 20: expected at_least: less than below:"),
        (f"{CLV}, rises_by: 50, within: 7d", "14:30",
         "trigger missed has rises_by, but clv_bgnbd is no probability: expected churn or p_alive; use at_least:"),
        (f"{CLV}, falls_by: 50, within: 7d", "14:40", f"falls_by of trigger missed is '50' (int): {SHARE}"),
        (f"{CLV}, falls_by: 30%", "14:3", "trigger missed has no within: expected within:; add it"),
        (f"{CLV}, fals_by: 30%, within: 7d", "14:30",
         f"unknown key 'fals_by' in trigger missed, beside score; did you mean falls_by?; expected {SCORE}"),
        ("score: clv_regression, at_least: D8", "14:45",
         "at_least of trigger missed is 'D8': expected a number, or one of MEDIUM, HIGH"),
        ("score: clv_bgbd, at_least: HIGH", "14:19",
         "score of trigger missed is 'clv_bgbd': expected a score that is computed; did you mean clv_bgnbd?"),
        ("score: ltv, at_least: 5", "14:19",
         "score of trigger missed is 'ltv': expected a score that is computed: churn, p_alive, clv_bgnbd, clv_regression"),
        ("score: churn, below: D3", "14:33",
         "below of trigger missed is 'D3': expected a number, or one of threshold, MEDIUM, HIGH"),
    ],
)  # fmt: skip
def test_errors_of_several_scores(trigger: str, place: str, message: str) -> None:
    with pytest.raises(PolicyError) as error:
        load(with_last(trigger), SEVERAL, "p.yaml")
    assert str(error.value) == f"p.yaml:{place}: {message}"


def test_a_score_that_is_not_computed_is_refused() -> None:
    with pytest.raises(PolicyError, match="score of trigger missed is 'clv_bgnbd': expected the only score that is computed: churn"):
        read(with_last(f"{CLV}, at_least: 250"))
    alone = names_of_all([("clv_formula", None, (1.0, 2.0), ())], FEATURES)
    with pytest.raises(PolicyError, match="score of trigger at_risk is 'churn': expected the only score that is computed: clv_formula"):
        load(BASE, alone)


def test_the_committed_policy_fits_the_committed_model() -> None:
    model = load_model(PRETRAINED, CHURN)
    names = names_of(model)
    assert names == names_of_all([("churn", model.threshold, (model.bands[0], model.bands[1]), ())], CHURN.names)
    policy = load(DEFAULT, names)
    assert (policy.name, policy.version, policy.marketing_required, policy.profiling_required) == ("telecom-retention", 2, True, False)
    assert [trigger.name for trigger in sorted(policy.triggers, key=lambda one: -one.priority)] == [
        "complaint", "rising", "at_risk", "missed_payment"]  # fmt: skip
    assert watched_levels(policy) == (Level("score:churn", model.threshold), Level("feature:overdue_bills", 1.0))
    assert [offer.kind for offer in policy.offers if offer.service] == ["payment_reminder"]
    assert (policy.holdout, policy.budgets) == (None, ())
    assert (policy.escalation, policy.landing_ms) == (Escalation(7 * DAY_MS), 30 * DAY_MS)


def test_what_is_commented_out_in_the_committed_policy_is_sound() -> None:
    text = DEFAULT.read_text()
    for line in ("# holdout:", "    # campaign: spring", "# budgets:", "#   spring:"):
        assert text.count(f"\n{line}") == 1
        text = text.replace(f"\n{line}", "\n" + line.replace("# ", "", 1) if line != "#   spring:" else "\n  spring:")
    policy = load(text, names_of_all([("churn", 0.25, (0.125, 0.25), ())], CHURN.names))
    assert policy.holdout == Holdout("churn-2026", 0.1)
    assert policy.budgets == (Budget("spring", 1000, 4),)


WORDS = [word for word in re.split(r"(\s+|[{}\[\],:])", BASE) if word]
OF_SCORES = ["p_alive", "clv_bgnbd", "below", "falls_by", "D3", "30%"]
MARKS = ["&a ", "*a", "!!int ", "null", "~", "- ", "? ", "1e999", "-.inf", "0x1F", "9" * 400, "é", "<<", '"', "|\n", "{", "}"]
ODD = st.sampled_from([*set(WORDS), *OF_SCORES, "", *MARKS])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(WORDS) - 1), ODD), min_size=1, max_size=3))
@example([(WORDS.index("rising"), "-.inf")])
@example([(WORDS.index("version") + 3, "9" * 400)])
def test_whatever_stands_in_the_file_it_is_a_policy_or_a_policy_error(changes: list[tuple[int, str]]) -> None:
    words = list(WORDS)
    for place, word in changes:
        words[place] = word
    policy = _read_or_error("".join(words))
    if isinstance(policy, PolicyError):
        assert policy.problems
        assert all(problem.message for problem in policy.problems)
    else:
        named = {trigger.name for trigger in policy.triggers}
        assert {name for offer in policy.offers for name in offer.triggers} == named
        assert all(offer.channels and offer.offer and offer.cooldown_ms > 0 and offer.valid_ms > 0 for offer in policy.offers)
        for level in watched_levels(policy):
            assert level.at_least < level.below
            assert math.isfinite(level.at_least) or math.isfinite(level.below)
        moves = [each.when for each in policy.triggers if isinstance(each.when, Rise | Fall)]
        assert all(0 < move.by < 1 and move.within_ms > 0 for move in moves)


def _read_or_error(text: str) -> Policy | PolicyError:
    try:
        return load(text, SEVERAL, "p.yaml")
    except PolicyError as error:
        return error
