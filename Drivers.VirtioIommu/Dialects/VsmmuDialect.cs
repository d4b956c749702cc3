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

    public override Span<ulong> EncodeAttach(Span<ulong> words, uint domain, uint endpoint, in AttachWords table)
    {
        words = RequestHead.Begin(words, ProposalEAttachArmSmmu3.Layout, RequestType.AttachTable);
        words.Set(RequestHead.Domain, domain);
        words.Set(RequestHead.Endpoint, endpoint);
        words.Set(ProposalEAttachArmSmmu3.Format, ProposalEAttachArmSmmu3.FormatArmSmmu3);
        words.Set(ProposalEAttachArmSmmu3.Ste0, table.Ste0);
        words.Set(ProposalEAttachArmSmmu3.Ste1, table.Ste1);
        return words;
    }

    public override Span<ulong> EncodeConfiguration(Span<ulong> words, uint domain, uint pasid, bool leafOnly)
    {
        words = Begin(words, ProposalEInvalidate.ScopePasid, ProposalEInvalidate.CachePasid, domain, pasid);
        words.Set(
            ProposalEInvalidate.Flags,
            ProposalEInvalidate.FlagPasid | (leafOnly ? ProposalEInvalidate.FlagLeaf : 0UL));
        return words;
    }

    public override Span<ulong> EncodeTranslations(Span<ulong> words, uint domain, uint pasid, uint archId)
    {
        words = Begin(words, ProposalEInvalidate.ScopePasid, ProposalEInvalidate.CacheTlb, domain, pasid);
        words.Set(ProposalEInvalidate.Flags, ProposalEInvalidate.FlagPasid | ProposalEInvalidate.FlagId);
        words.Set(ProposalEInvalidate.Id, archId);
        return words;
    }

    public override Span<ulong> EncodeRange(
        Span<ulong> words, uint domain, uint pasid, uint archId, ulong firstByte, ulong pages, int granuleLog2)
    {
        words = EncodeTranslations(words, domain, pasid, archId);
        words.Set(ProposalEInvalidate.Scope, ProposalEInvalidate.ScopeAddress);
        words.Set(ProposalEInvalidate.Address, firstByte);
        words.Set(ProposalEInvalidate.NrPages, pages);
        words.Set(ProposalEInvalidate.PageSize, (ulong)granuleLog2);
        return words;
    }

    private static Span<ulong> Begin(Span<ulong> words, byte scope, byte caches, uint domain, uint pasid)
    {
        words = RequestHead.Begin(words, ProposalEInvalidate.Layout, RequestType.Invalidate);
        words.Set(ProposalEInvalidate.Scope, scope);
        words.Set(ProposalEInvalidate.Caches, caches);
        words.Set(ProposalEInvalidate.Domain, domain);
        words.Set(ProposalEInvalidate.Pasid, pasid);
        return words;
    }
}
