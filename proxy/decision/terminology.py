"""The code trees that decisions subsume over: v3-Confidentiality, v3-ActCode sensitivity, v3-ActReason PurposeOfUse.

Confidentiality is a total order that the code system itself does not state (DS4P, conceptual structure). Sensitivity
is the union of two trees that disagree: THO puts ETHUD and OPIOIDUD under SUD, IHE PCF puts them under ETH
(standards X-3). Tables are texts, one branch per line: `parent: child child`. Pure.
"""

from functools import lru_cache

from proxy.fhir.coding import ACT_CODE, ACT_REASON, CONFIDENTIALITY, OBSERVATION_VALUE, Coding

RANK: dict[str, int] = {code: rank for rank, code in enumerate("ULMNRV")}
"""Confidentiality, lowest first. Retired codes of the system (ETH, HIV, S, T…) are no confidentiality (LBL-18)."""

_SENSITIVITY = """
_InformationSensitivityPolicy: _ActInformationSensitivityPolicy _EntitySensitivityPolicyType
_InformationSensitivityPolicy: _RoleInformationSensitivityPolicy ADOL CEL VIP DIA DRGIS EMP PDS PHY PRS
_ActInformationSensitivityPolicy: ETH GDIS HIV MST PREGNANT SCA SDV SEX SPI STD TBOO VIO IDS SICKLE
SPI: BH MH PSY PSYTHPN SUD
BH: COGN DVD EMOTDIS
SUD: ETHUD OPIOIDUD
ETH: ETHUD OPIOIDUD
SCA: SICKLE
CEL: VIP
VIP: CEL
_EntitySensitivityPolicyType: DEMO DOB GENDER LIVARG MARST PATLOC RACE REL
_RoleInformationSensitivityPolicy: B EMPL LOCIS SSP
"""

_PURPOSES = """
PurposeOfUse: HMARKT HOPERAT HPAYMT HRESCH PATRQT PUBHLTH TREAT
HOPERAT: CAREMGT DONAT FRAUD GOV HACCRED HCOMPL HDECD HDIRECT HDM HLEGAL HOUTCOMS HPRGRP HQUALIMP HSYSADMIN
HOPERAT: MEMADMIN MILCDM PATADMIN PATSFTY PERFMSR RECORDMGT SYSDEV TRAIN MLTRAINING
HSYSADMIN: LABELING METAMGT
SYSDEV: HTEST
HPAYMT: CLMATTCH COVAUTH COVERAGE REMITADV PMTDS
COVERAGE: ELIGDTRM ELIGVER ENROLLM MILDCRG
HRESCH: BIORCH CLINTRCH DSRCH POARCH TRANSRCH
CLINTRCH: CLINTRCHNPC CLINTRCHPC PRECLINTRCH
PATRQT: FAMRQT PWATRNY SUPNWK
PUBHLTH: DISASTER THREAT
TREAT: CLINTRL COC ETREAT POPHLTH TREATDS
ETREAT: BTG ERTREAT
"""

_OTHER_FAMILIES = """
ObligationPolicy ANONY AOD AUDIT AUDTR CPLYPOL CPLYCC CPLYCD CPLYCUI CPLYJPP CPLYJSP CPLYOPP CPLYOSP DECLASSIFYLABEL
DEID DELAU DOWNGRDLABEL DRIVLABEL ENCRYPT ENCRYPTR ENCRYPTT ENCRYPTU HUAPRV LABEL MASK MINEC PERSISTLABEL PRIVMARK
CUIMark PSEUD REDACT UPGRDLABEL PROCESSINLINELABEL RefrainPolicy NOAUTH NOCOLLECT NODSCLCD NODSCLCDS NOINTEGRATE
NOLIST NOMOU NOORGPOL NOPAT NOPERSISTP NORDSCLCD NORDSLCD NORDSCLCDS NORDSCLW NORELINK NOREUSE NOVIP ORCON COMPT
ACOCOMPT CDSSCOMPT CTCOMPT FMCOMPT HRCOMPT LRCOMPT PACOMPT RESCOMPT RMGTCOMPT GDPRCONSENT 42CFRPart2 CommonRule
HIPAAAuth HIPAAConsent HIPAANOPP HIPAAPsyNotes HIPAAROA HIPAASelfPay Title38Section7332 EMRGONLY GRANTORCHOICE
IMPLIED IMPLIEDD NOCONSENT NOPP OPTIN OPTINR OPTOUT OPTOUTE ControlledUnclassifiedInformation CONTROLLED CUI CUIHLTH
CUIHLTHP CUIP CUIPRVCY CUIPRVCYP CUISP-HLTH CUISP-HLTHP CUISP-PRVCY CUISP-PRVCYP UUI SecurityLabelMark
ConfidentialMark COPYMark DeliverToAddresseeOnlyMark RedisclosureProhibitionMark RestrictedConfidentialityMark
DRAFTMark INFOACCESS INFOCOLLECT INFODEIDENTIFIY INFODISCLOSE INFOMASK INFOREADONLY INFOREDACT INFOREDISCLOSE
INFOREIDENTIFY INFOUSE ACCESSCONSCHEME DELEPOL
"""


def _parents(text: str) -> dict[str, set[str]]:
    parents: dict[str, set[str]] = {}
    for line in text.strip().splitlines():
        parent, _, children = line.partition(": ")
        parents.setdefault(parent, set())
        for child in children.split():
            parents.setdefault(child, set()).add(parent)
    return parents


def _ancestry(text: str) -> dict[str, frozenset[str]]:
    """Each code of a tree with itself and all its ancestors."""
    parents = _parents(text)
    closed = {}
    for code in parents:
        found, front = {code}, {code}
        while front:
            front = {parent for one in front for parent in parents[one]} - found
            found |= front
        closed[code] = frozenset(found)
    return closed


SENSITIVITY: dict[str, frozenset[str]] = _ancestry(_SENSITIVITY)
"""Sensitivity codes of v3-ActCode, each with itself and its ancestors."""

PURPOSES: dict[str, frozenset[str]] = _ancestry(_PURPOSES)
"""Purposes of use of v3-ActReason, each with itself and its ancestors."""

_TREES = {ACT_CODE: SENSITIVITY, ACT_REASON: PURPOSES}
_FAMILIES = frozenset(_OTHER_FAMILIES.split())


@lru_cache(maxsize=4096)
def descends(code: Coding, ancestor: Coding) -> bool:
    """Whether a coding is the other one or lies below it in its tree; outside the trees only equality counts."""
    if code.system != ancestor.system:
        return False
    return ancestor.code in lineage(code)


def lineage(code: Coding) -> frozenset[str]:
    """Give the codes that subsume a coding in its own system, itself included."""
    return _TREES.get(code.system, {}).get(code.code) or frozenset({code.code})


def is_sensitivity(label: Coding) -> bool:
    """Whether a label says that the content is sensitive (v3-ActCode, tree _InformationSensitivityPolicy)."""
    return label.system == ACT_CODE and label.code in SENSITIVITY


def is_known(label: Coding) -> bool:
    """Whether a label belongs to a family of standards §5; a label nobody knows is unknown, and that denies."""
    if label.system == CONFIDENTIALITY:
        return label.code in RANK
    if label.system == ACT_CODE:
        return label.code in SENSITIVITY or label.code in _FAMILIES
    return label.system in (ACT_REASON, OBSERVATION_VALUE)


def purpose_lineage(purpose: str) -> frozenset[str]:
    """Give the codes that subsume a purpose, itself included; an unknown code has only itself."""
    return PURPOSES.get(purpose) or frozenset({purpose})


def most_specific(purposes: frozenset[str]) -> frozenset[str]:
    """Leave out purposes that another one implies: {TREAT, BTG} is a break-glass request (IUA example)."""
    if len(purposes) < 2:  # noqa: PLR2004  (one purpose implies no other)
        return purposes
    implied = {up for one in purposes for up in purpose_lineage(one) if up != one}
    return frozenset(purposes - implied)
