"""Elements that must be there (StructureDefinition, cardinality 1..*), of R4, R4B and R5 together.

Top-level elements stand in the definition tables; here are those inside backbone elements, as `parent.name`, and
those of data types, by the name of the element that usually has the type. What one version demands counts for all:
at worst an element is masked that could have been left out, and a masked element is valid in every version.
Source: HL7 definitions as fhir.resources has them.
"""

import functools

from proxy.fhir.definitions import FHIR_VERSIONS, definitions_of

_BACKBONE = """\
Account balance.amount coverage.coverage diagnosis.condition guarantor.party procedure.code relatedAccount.account
ActivityDefinition dynamicValue.expression dynamicValue.path participant.type
AdministrableProductDefinition property.type routeOfAdministration.code targetSpecies.code withdrawalPeriod.tissue
 withdrawalPeriod.value
AdverseEvent contributingFactor.item mitigatingAction.item participant.actor preventiveAction.item
 supportingInfo.item suspectEntity.instance
AllergyIntolerance participant.actor reaction.manifestation
Appointment monthlyTemplate.monthInterval participant.status recurrenceTemplate.recurrenceType
 yearlyTemplate.yearInterval
AuditEvent agent.requestor agent.who detail.type detail.value outcome.code source.observer
BiologicallyDerivedProduct property.type property.value
BiologicallyDerivedProductDispense performer.actor
BodyStructure excludedStructure.structure includedStructure.structure
Bundle link.relation link.url request.method request.url response.status
CapabilityStatement document.mode document.profile endpoint.address endpoint.protocol implementation.description
 interaction.code operation.definition operation.name resource.type rest.mode searchParam.name searchParam.type
 software.name supportedMessage.definition supportedMessage.mode
CarePlan detail.status
CatalogEntry relatedEntry.item relatedEntry.relationtype
ChargeItem performer.actor
ChargeItemDefinition priceComponent.type
Citation abstract.text contributionInstance.type entry.contributor relatesTo.relationshipType relatesTo.target
 relatesTo.type statusDate.activity statusDate.period summary.text summary.value title.text version.value
Claim accident.date bodySite.site careTeam.provider careTeam.sequence detail.productOrService detail.sequence
 diagnosis.diagnosis diagnosis.sequence event.type event.when insurance.coverage insurance.focal insurance.sequence
 item.productOrService item.sequence payee.type procedure.procedure procedure.sequence subDetail.productOrService
 subDetail.sequence supportingInfo.category supportingInfo.sequence
ClaimResponse addItem.adjudication addItem.productOrService adjudication.category bodySite.site detail.adjudication
 detail.detailSequence detail.productOrService error.code event.type event.when insurance.coverage insurance.focal
 insurance.sequence item.adjudication item.itemSequence payment.amount payment.type processNote.text
 subDetail.adjudication subDetail.productOrService subDetail.subDetailSequence total.amount total.category
ClinicalImpression investigation.code
ClinicalUseDefinition interactant.item otherTherapy.relationshipType otherTherapy.therapy otherTherapy.treatment
CodeSystem concept.code designation.value filter.code filter.operator filter.value property.code property.type
 property.value
Communication payload.content
CommunicationRequest payload.content
CompartmentDefinition resource.code
Composition attester.mode relatesTo.code relatesTo.target
ConceptMap additionalAttribute.code additionalAttribute.type dependsOn.attribute dependsOn.property dependsOn.value
 group.element product.attribute product.property product.value property.code property.type property.value
 target.equivalence target.relationship unmapped.mode
Condition participant.actor
ConditionDefinition plan.reference precondition.code precondition.type questionnaire.purpose questionnaire.reference
Consent actor.reference actor.role data.meaning data.reference verification.verified
Contract action.intent action.status action.type answer.value contentDefinition.publicationStatus
 contentDefinition.type friendly.content legal.content party.reference party.role rule.content
 securityLabel.classification signer.party signer.signature signer.type subject.reference term.offer
Coverage class.type class.value costToBeneficiary.value exception.type paymentBy.party
CoverageEligibilityRequest event.type event.when insurance.coverage supportingInfo.information
 supportingInfo.sequence
CoverageEligibilityResponse benefit.type error.code event.type event.when insurance.coverage
DetectedIssue mitigation.action
Device conformsTo.specification deviceName.name deviceName.type name.type name.value property.type property.value
 specialization.systemType udiCarrier.deviceIdentifier udiCarrier.issuer version.value
DeviceAssociation operation.status
DeviceDefinition capability.type chargeItem.chargeItemCode chargeItem.count classification.type
 conformsTo.specification correctiveAction.period correctiveAction.recall deviceName.name deviceName.type
 hasPart.reference link.relatedDevice link.relation marketDistribution.marketPeriod
 marketDistribution.subJurisdiction material.substance property.type property.value
 regulatoryIdentifier.deviceIdentifier regulatoryIdentifier.issuer regulatoryIdentifier.jurisdiction
 regulatoryIdentifier.type shelfLifeStorage.period shelfLifeStorage.type specialization.systemType
 udiDeviceIdentifier.deviceIdentifier udiDeviceIdentifier.issuer udiDeviceIdentifier.jurisdiction version.value
DeviceDispense performer.actor
DeviceUsage adherence.code adherence.reason
DiagnosticReport media.link supportingInfo.reference supportingInfo.type
DocumentReference attester.mode content.attachment profile.value relatesTo.code relatesTo.target
Encounter classHistory.class classHistory.period diagnosis.condition location.location statusHistory.period
 statusHistory.status
EncounterHistory location.location
EpisodeOfCare diagnosis.condition statusHistory.period statusHistory.status
Evidence modelCharacteristic.code variable.variableDefinition variableDefinition.variableRole
EvidenceReport characteristic.code characteristic.value relatesTo.code relatesTo.target
EvidenceVariable characteristic.definition definitionByCombination.characteristic definitionByCombination.code
 definitionByTypeAndValue.type definitionByTypeAndValue.value
ExampleScenario actor.actorId actor.key actor.title actor.type alternative.title containedInstance.instanceReference
 containedInstance.resourceId instance.key instance.resourceId instance.resourceType instance.structureType
 instance.title operation.number operation.title process.title request.instanceReference request.resourceId
 response.instanceReference response.resourceId version.description version.key version.title version.versionId
ExplanationOfBenefit addItem.productOrService adjudication.category benefitBalance.category bodySite.site
 careTeam.provider careTeam.sequence detail.productOrService detail.sequence diagnosis.diagnosis diagnosis.sequence
 event.type event.when financial.type insurance.coverage insurance.focal item.productOrService item.sequence
 procedure.procedure procedure.sequence subDetail.productOrService subDetail.sequence supportingInfo.category
 supportingInfo.sequence total.amount total.category
FamilyMemberHistory condition.code participant.actor procedure.code
GraphDefinition compartment.code compartment.rule compartment.use link.sourceId link.targetId node.nodeId node.type
 target.type
Group characteristic.code characteristic.exclude characteristic.value member.entity
HealthcareService notAvailable.description
ImagingSelection imageRegion2D.coordinate imageRegion2D.regionType imageRegion3D.coordinate imageRegion3D.regionType
 instance.uid
ImagingStudy instance.sopClass instance.uid performer.actor series.modality series.uid
Immunization performer.actor programEligibility.program programEligibility.programStatus protocolApplied.doseNumber
ImmunizationRecommendation dateCriterion.code dateCriterion.value recommendation.forecastStatus
ImplementationGuide definition.resource dependsOn.uri global.profile global.type grouping.name manifest.resource
 page.generation page.name page.title parameter.code parameter.value resource.reference template.code
 template.source
Ingredient manufacturer.manufacturer referenceStrength.strength referenceStrength.substance substance.code
InsurancePlan benefit.type cost.type coverage.benefit coverage.type specificCost.category
InventoryItem association.associationType association.quantity association.relatedItem
 characteristic.characteristicType characteristic.value name.language name.name name.nameType
 responsibleOrganization.organization responsibleOrganization.role
InventoryReport item.item item.quantity
Invoice lineItem.chargeItem participant.actor priceComponent.type totalPriceComponent.type
Linkage item.resource item.type
List entry.item
Location position.latitude position.longitude
ManufacturedItemDefinition component.type property.type
Measure component.criteria population.criteria supplementalData.criteria
MeasureReport component.code component.value
Medication ingredient.item
MedicationAdministration performer.actor
MedicationDispense performer.actor substitution.wasSubstituted
MedicationKnowledge cost.cost cost.type dosage.dosage dosage.type environmentalSetting.type
 environmentalSetting.value ingredient.item maxDispense.quantity medicineClassification.type
 patientCharacteristic.type patientCharacteristics.characteristic regulatory.regulatoryAuthority
 relatedMedicationKnowledge.reference relatedMedicationKnowledge.type schedule.schedule substitution.allowed
 substitution.type
MedicationRequest substitution.allowed
MedicationStatement adherence.code
MedicinalProductDefinition characteristic.type contact.contact countryLanguage.country countryLanguage.language
 crossReference.product marketingStatus.status name.productName namePart.part namePart.type part.part part.type
 usage.country usage.language
MessageDefinition allowedResponse.message focus.code focus.min
MessageHeader destination.endpoint response.code response.identifier source.endpoint
MolecularSequence quality.type relative.coordinateSystem repository.type
NamingSystem uniqueId.type uniqueId.value
NutritionIntake consumedItem.nutritionProduct consumedItem.type ingredientLabel.amount ingredientLabel.nutrient
 performer.actor
NutritionProduct characteristic.type characteristic.value ingredient.item productCharacteristic.type
 productCharacteristic.value
Observation component.code triggeredBy.observation triggeredBy.type
ObservationDefinition component.code
OperationDefinition binding.strength binding.valueSet parameter.max parameter.min parameter.name parameter.use
 referencedFrom.source
OperationOutcome issue.code issue.severity
Organization qualification.code
PackagedProductDefinition characteristic.type containedItem.item marketingStatus.status property.type
Parameters parameter.name
Patient communication.language link.other link.type
PaymentReconciliation detail.type
Permission resource.meaning resource.reference
Person communication.language link.target
PlanDefinition actor.option condition.kind goal.description participant.type relatedAction.actionId
 relatedAction.relationship relatedAction.targetId
Practitioner communication.language qualification.code
PractitionerRole notAvailable.description
Procedure focalDevice.manipulated performer.actor
Provenance agent.who entity.role entity.what
Questionnaire answerOption.value enableWhen.answer enableWhen.operator enableWhen.question initial.value item.linkId
 item.type
QuestionnaireResponse answer.value item.linkId
RelatedPerson communication.language
RequestGroup condition.kind relatedAction.actionId relatedAction.relationship
RequestOrchestration condition.kind relatedAction.relationship relatedAction.targetId
Requirements statement.key statement.requirement
ResearchElementDefinition characteristic.definition
ResearchStudy arm.name associatedParty.role comparisonGroup.name progressStatus.state
SearchParameter component.definition component.expression
ServiceRequest orderDetail.parameter parameter.code parameter.value
Specimen container.device feature.description feature.type
SpecimenDefinition additive.additive typeTested.preference
StructureDefinition context.expression context.type differential.element element.path mapping.identity
 snapshot.element
StructureMap dependent.name dependent.parameter dependent.variable group.input group.name group.rule group.typeMode
 input.mode input.name parameter.value rule.name rule.source source.context structure.mode structure.url
Subscription channel.type filterBy.filterParameter filterBy.value parameter.name parameter.value
SubscriptionStatus notificationEvent.eventNumber
SubscriptionTopic canFilterBy.filterParameter eventTrigger.event eventTrigger.resource notificationShape.resource
 resourceTrigger.resource
Substance ingredient.substance
SubstanceDefinition molecularWeight.amount name.name property.type relationship.type
Task input.type input.value output.type output.value performer.actor
TerminologyCapabilities codeSystem.content filter.code filter.op implementation.description parameter.name
 software.name translation.needsMap validateCode.translations
TestPlan testData.type
TestReport action.operation assert.result operation.result participant.type participant.uri setup.action
 teardown.action test.action
TestScript action.operation assert.stopTestOnFail assert.warningOnly capability.capabilities capability.required
 capability.validated destination.index destination.profile fixture.autocreate fixture.autodelete link.url
 metadata.capability operation.encodeRequestUrl origin.index origin.profile requestHeader.field requestHeader.value
 scope.artifact setup.action teardown.action test.action variable.name
Transport input.type input.value output.type output.value
ValueSet compose.include concept.code designation.value expansion.timestamp filter.op filter.property filter.value
 parameter.name property.code property.value subProperty.code subProperty.value
VerificationResult validator.organization
VisionPrescription lensSpecification.eye lensSpecification.product prism.amount prism.base
"""

_OF_TYPES = frozenset(
    """
    extension.url modifierExtension.url note.text annotation.text valueAnnotation.text valueSampledData.origin
    valueSampledData.period valueSampledData.dimensions valueSampledData.intervalUnit signature.type signature.when
    signature.who valueSignature.type valueSignature.when valueSignature.who relatedArtifact.type useContext.code
    useContext.value valueExpression.language text.status text.div
    """.split()  # noqa: SIM905
)


@functools.cache
def mandatory_of(rtype: str) -> frozenset[str]:
    """Give what must be there in a resource type: names at top level, `parent.name` inside; choices without suffix."""
    tables = (definitions_of(version).mandatory.get(rtype, ()) for version in FHIR_VERSIONS)
    return frozenset().union(*tables, _backbones().get(rtype, ()), _OF_TYPES)


@functools.cache
def _backbones() -> dict[str, list[str]]:
    rows = (line.split() for line in _BACKBONE.replace("\n ", " ").splitlines())
    return {head: rest for head, *rest in rows}
