// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Dialects;

/// <summary>The later draft of a Qualcomm tree and its vSMMU driver (proposal E): attach type 6 with raw words of a
/// stream table entry, invalidate type 7 by cache.</summary>
internal sealed class VsmmuDialect : TableDialect
{
    public static VsmmuDialect Instance { get; } = new();
    public override string Name => "vsmmu";
    public override string Letter => "E";
    public override ulong AttachFeature => FeatureBits.ProposalEAttachTable;

    public override ulong KnownFeatures =>
        FeatureBits.DomainRange | FeatureBits.MapUnmap | FeatureBits.Probe | FeatureBits.Mmio | FeatureBits.BypassConfig
        | AttachFeature;

    public override int AttachBytes => ProposalEAttachArmSmmu3.DriverBytes;
    public override int InvalidateBytes => ProposalEInvalidate.DriverBytes;
    public override bool PropertiesRequired => false;
    public override bool FaultsNamePasid => false;

    public override void ReadProperty(EndpointProperties found, int type, ReadOnlySpan<ulong> words)
    {
        if (type == ProposalEArmProperty.TypeNumber)
        {
            found.SetArmIdentification(
                (uint)words.Get(ProposalEArmProperty.Idr0), (uint)words.Get(ProposalEArmProperty.Idr1));
        }
    }

    public override (Errno Errno, string Reason)? Check(EndpointProperties properties, ulong s1Fmt) =>
        s1Fmt != 0 && properties.TwoLevelTables == false
            ? (Errno.EOPNOTSUPP, "it takes linear PASID tables only (IDR0.CD2L is 0) and the table has two levels")
            : null;

    public override Span<ulong> EncodeAttach(Span<ulong> words, uint domain, uint endpoint, in AttachWords table) =>
        RequestHead.Encode(
            words, ProposalEAttachArmSmmu3.Layout, RequestType.AttachTable,
            (RequestHead.Domain, domain), (RequestHead.Endpoint, endpoint),
            (ProposalEAttachArmSmmu3.Format, ProposalEAttachArmSmmu3.FormatArmSmmu3),
            (ProposalEAttachArmSmmu3.Ste0, table.Ste0), (ProposalEAttachArmSmmu3.Ste1, table.Ste1));

    public override Span<ulong> EncodeConfiguration(Span<ulong> words, uint domain, uint pasid, bool leafOnly) =>
        Invalidate(
            words, domain, pasid, ProposalEInvalidate.CachePasid,
            ProposalEInvalidate.FlagPasid | (leafOnly ? ProposalEInvalidate.FlagLeaf : 0UL), id: 0);

    public override Span<ulong> EncodeTranslations(Span<ulong> words, uint domain, uint pasid, uint archId) =>
        Invalidate(
            words, domain, pasid, ProposalEInvalidate.CacheTlb,
            ProposalEInvalidate.FlagPasid | ProposalEInvalidate.FlagId, archId);

    protected override (Field Field, ulong Value) RangeScope =>
        (ProposalEInvalidate.Scope, ProposalEInvalidate.ScopeAddress);

    private static Span<ulong> Invalidate(
        Span<ulong> words, uint domain, uint pasid, byte caches, ulong flags, uint id) => RequestHead.Encode(
        words, ProposalEInvalidate.Layout, RequestType.Invalidate,
        (ProposalEInvalidate.Scope, ProposalEInvalidate.ScopePasid), (ProposalEInvalidate.Caches, caches),
        (ProposalEInvalidate.Flags, flags), (ProposalEInvalidate.Domain, domain),
        (ProposalEInvalidate.Pasid, pasid), (ProposalEInvalidate.Id, id));
}
