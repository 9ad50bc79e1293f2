"""Whom a resource is about, who wrote it, and when: element tables per resource type.

`ABOUT` holds the *data subject* elements only: being performer, author or recipient does not make someone the
data subject (decisions §3; standards COMP-3, COMP-4). R4, R4B and R5 spellings stand side by side: an element that a
version does not have is simply absent there. Types that are missing in `ABOUT` are about no patient; only policy
can open them, if it names them `universal`.
Source: FHIR R4 CompartmentDefinition/patient and R5 (https://hl7.org/fhir/R4/compartmentdefinition-patient.html).
"""

_SUBJECT = """AdverseEvent Basic CarePlan CareTeam ChargeItem ClinicalImpression Composition
Condition Contract DeviceDispense DeviceRequest DeviceUseStatement DiagnosticReport DocumentManifest DocumentReference Encounter
EncounterHistory Flag GenomicStudy Goal GuidanceResponse ImagingSelection ImagingStudy Invoice List
MeasureReport Media MedicationAdministration MedicationDispense MedicationRequest MedicationStatement MolecularSequence
NutritionIntake NutritionOrder Observation Procedure QuestionnaireResponse RequestGroup RequestOrchestration
RiskAssessment ServiceRequest Specimen Communication CommunicationRequest""".split()  # noqa: SIM905
_PATIENT = """AllergyIntolerance BiologicallyDerivedProductDispense BodyStructure Claim ClaimResponse CoverageEligibilityRequest
CoverageEligibilityResponse DetectedIssue DeviceUsage EpisodeOfCare ExplanationOfBenefit FamilyMemberHistory Immunization
ImmunizationEvaluation ImmunizationRecommendation MolecularSequence RelatedPerson SupplyDelivery VisionPrescription
Device""".split()  # noqa: SIM905

ABOUT: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_SUBJECT, ("subject",)),
    **dict.fromkeys(_PATIENT, ("patient",)),
    "Account": ("subject",),
    "Appointment": ("subject", "participant.actor"),
    "AppointmentResponse": ("actor",),
    "AuditEvent": ("patient", "entity.what"),
    "BiologicallyDerivedProduct": ("collection.source",),
    "Communication": ("subject",),
    "Condition": ("subject",),
    "Consent": ("patient", "subject"),
    "Coverage": ("beneficiary", "subscriber"),
    "DetectedIssue": ("patient", "subject"),
    "DeviceAssociation": ("subject",),
    "EnrollmentRequest": ("candidate",),
    "Group": ("member.entity",),
    "ImagingStudy": ("subject",),
    "InventoryItem": ("instance.subject",),
    "Linkage": ("item.resource",),
    "MolecularSequence": ("patient", "subject"),
    "NutritionOrder": ("patient", "subject"),
    "Observation": ("subject", "focus"),
    "Person": ("link.target",),
    "Provenance": ("patient", "target"),
    "ResearchSubject": ("individual", "subject"),
    "Schedule": ("actor",),
    "SupplyRequest": ("deliverTo", "deliverFor"),
    "Task": ("for", "focus"),
    "Transport": ("for", "focus"),
}
"""Type → elements whose Patient references say whom the resource is about."""

OPAQUE = frozenset(
    {"Binary", "Bundle", "Parameters", "MessageHeader", "VerificationResult", "OperationOutcome"}
)
"""Types whose patients cannot be told from their own elements: never disclosed through type-level rules."""

TRANSPARENT = frozenset({"Provenance.target", "Linkage.item.resource"})
"""Elements through which other resources' data speak: a target that is no Patient leaves it open whom they are about."""

AUTHORS: dict[str, tuple[str, ...]] = {
    "AdverseEvent": ("recorder",),
    "AllergyIntolerance": ("recorder", "asserter"),
    "Basic": ("author",),
    "CarePlan": ("author", "custodian"),
    "ClinicalImpression": ("assessor", "performer"),
    "Communication": ("sender",),
    "CommunicationRequest": ("requester",),
    "Composition": ("author",),
    "Condition": ("recorder", "asserter"),
    "DetectedIssue": ("author",),
    "DeviceRequest": ("requester",),
    "DiagnosticReport": ("performer", "resultsInterpreter"),
    "DocumentManifest": ("author",),
    "DocumentReference": ("author",),
    "Flag": ("author",),
    "Goal": ("expressedBy", "source"),
    "ImagingStudy": ("referrer", "interpreter"),
    "Immunization": ("performer.actor",),
    "List": ("source",),
    "Media": ("operator",),
    "MedicationAdministration": ("performer.actor",),
    "MedicationDispense": ("performer.actor",),
    "MedicationRequest": ("requester", "recorder"),
    "MedicationStatement": ("informationSource",),
    "NutritionOrder": ("orderer",),
    "Observation": ("performer",),
    "Procedure": ("performer.actor", "recorder", "asserter"),
    "QuestionnaireResponse": ("author", "source"),
    "RequestGroup": ("author",),
    "RiskAssessment": ("performer",),
    "ServiceRequest": ("requester",),
    "Task": ("requester",),
    "VisionPrescription": ("prescriber",),
}
"""Type → elements that name the author (recorder, requester, performer …) of the resource."""

LABELLED = {"DocumentReference": "securityLabel", "Composition": "confidentiality"}
"""Type → element that labels the resource beside `meta.security` (the French shared record labels documents so)."""

SOURCES: dict[str, tuple[str, ...]] = {
    "Binary": ("securityContext",),
    "Composition": ("relatesTo",),
    "DocumentManifest": ("content",),
    "DocumentReference": ("relatesTo",),
    "ImagingSelection": ("derivedFrom",),
    "MedicationStatement": ("derivedFrom",),
    "NutritionIntake": ("derivedFrom",),
    "Observation": ("derivedFrom",),
    "QuestionnaireResponse": ("derivedFrom",),
}
"""Type → elements that name what the resource was made from; a document among it gives its labels on."""

DATES: dict[str, tuple[str, ...]] = {
    "AdverseEvent": ("occurrenceDateTime", "date", "detected", "recordedDate"),
    "AllergyIntolerance": ("onsetDateTime", "recordedDate"),
    "Appointment": ("start",),
    "CarePlan": ("period.start", "created"),
    "CareTeam": ("period.start",),
    "Claim": ("billablePeriod.start", "created"),
    "ClinicalImpression": ("effectiveDateTime", "effectivePeriod.start", "date"),
    "Communication": ("sent",),
    "Composition": ("date",),
    "Condition": ("onsetDateTime", "onsetPeriod.start", "recordedDate"),
    "Consent": ("dateTime", "date"),
    "Coverage": ("period.start",),
    "DiagnosticReport": ("effectiveDateTime", "effectivePeriod.start", "issued"),
    "DocumentReference": ("context.period.start", "date"),
    "Encounter": ("period.start", "actualPeriod.start"),
    "EpisodeOfCare": ("period.start",),
    "ExplanationOfBenefit": ("billablePeriod.start", "created"),
    "FamilyMemberHistory": ("date",),
    "Flag": ("period.start",),
    "Goal": ("startDate",),
    "ImagingStudy": ("started",),
    "Immunization": ("occurrenceDateTime", "recorded"),
    "List": ("date",),
    "Media": ("createdDateTime", "createdPeriod.start", "issued"),
    "MedicationAdministration": ("effectiveDateTime", "effectivePeriod.start", "occurenceDateTime"),
    "MedicationDispense": ("whenHandedOver", "whenPrepared"),
    "MedicationRequest": ("authoredOn",),
    "MedicationStatement": ("effectiveDateTime", "effectivePeriod.start", "dateAsserted"),
    "NutritionOrder": ("dateTime",),
    "Observation": ("effectiveDateTime", "effectivePeriod.start", "effectiveInstant", "issued"),
    "Procedure": (
        "performedDateTime",
        "performedPeriod.start",
        "occurrenceDateTime",
        "occurrencePeriod.start",
    ),
    "QuestionnaireResponse": ("authored",),
    "RiskAssessment": ("occurrenceDateTime", "occurrencePeriod.start"),
    "ServiceRequest": ("occurrenceDateTime", "occurrencePeriod.start", "authoredOn"),
    "Specimen": ("collection.collectedDateTime", "receivedTime"),
    "Task": ("authoredOn", "lastModified"),
}
"""Type → clinical date elements, the first that is present counts (decisions §4 `dataPeriod`)."""
