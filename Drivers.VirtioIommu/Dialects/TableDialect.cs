// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Dialects;

/// <summary>One of the proposals for PASID tables over virtio-iommu. They are not standard and contradict one another:
/// the same numbers mean other things in each, so nothing outside of a dialect knows them.</summary>
internal abstract class TableDialect
{
    private static readonly TableDialect[] s_all = [V09Dialect.Instance, VsmmuDialect.Instance];

    /// <summary>Words of the longest request of any dialect.</summary>
    public const int MaxWords = 16;

    /// <summary>Name of no dialect: the standard alone.</summary>
    public const string None = "none";

    /// <summary>The proposal's name as users type it.</summary>
    public abstract string Name { get; }

    /// <summary>Its letter in the list of proposals, an alias of the name.</summary>
    public abstract string Letter { get; }

    public abstract ulong AttachFeature { get; }

    /// <summary>Features that the driver can use under this dialect, the attach feature included.</summary>
    public abstract ulong KnownFeatures { get; }

    /// <summary>Bytes of an attach request before its tail.</summary>
    public abstract int AttachBytes { get; }

    /// <summary>Bytes of an invalidate request before its tail.</summary>
    public abstract int InvalidateBytes { get; }

    /// <summary>Whether an endpoint must say by a property that it takes PASID tables.</summary>
    public abstract bool PropertiesRequired { get; }

    public abstract bool FaultsNamePasid { get; }

    /// <param name="words">The property from its type on, padded with zeros.</param>
    public abstract void ReadProperty(EndpointProperties found, int type, ReadOnlySpan<ulong> words);

    /// <summary>What speaks against a table for an endpoint with these properties; null for nothing.</summary>
    public abstract (Errno Errno, string Reason)? Check(EndpointProperties properties, ulong s1Fmt);

    public abstract Span<ulong> EncodeAttach(Span<ulong> words, uint domain, uint endpoint, in AttachWords table);

    /// <param name="leafOnly">Whether the path to the entry is unchanged.</param>
    public abstract Span<ulong> EncodeConfiguration(Span<ulong> words, uint domain, uint pasid, bool leafOnly);

    public abstract Span<ulong> EncodeTranslations(Span<ulong> words, uint domain, uint pasid, uint archId);

    /// <summary>Writes the invalidation of the translations of a range of pages, of all levels. The fields of the range
    /// lie at the same bytes in all dialects.</summary>
    public Span<ulong> EncodeRange(
        Span<ulong> words, uint domain, uint pasid, uint archId, ulong firstByte, ulong pages, int granuleLog2)
    {
        words = EncodeTranslations(words, domain, pasid, archId);
        words.Set(RangeScope.Field, RangeScope.Value);
        words.Set(ProposalBInvalidate.VirtStart, firstByte);
        words.Set(ProposalBInvalidate.NrPages, pages);
        words.Set(ProposalBInvalidate.Granule, (ulong)granuleLog2);
        return words;
    }

    /// <summary>What the scope says where a range of pages is invalidated.</summary>
    protected abstract (Field Field, ulong Value) RangeScope { get; }

    /// <param name="name">What the user typed: a name or letter, or none.</param>
    public static bool TryParse(string name, out TableDialect? dialect)
    {
        dialect = Array.Find(s_all, d => d.Name == name || d.Letter == name);
        return dialect is not null || name == None;
    }

    /// <summary>What an option may say: none, the names, some more words, then the letters.</summary>
    public static string[] Words(params ReadOnlySpan<string> more) =>
        [None, .. s_all.Select(d => d.Name), .. more, .. s_all.Select(d => d.Letter)];
}
