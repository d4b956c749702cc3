// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tests.Emulation;

public sealed class TagCacheTests
{
    [Fact]
    public void What_was_kept_first_stays_until_an_invalidation_names_it()
    {
        TagCache<uint, ulong> cache = Make();

        Assert.True(cache.TryKeep(1, 10));
        Assert.False(cache.TryKeep(1, 11));
        Assert.True(cache.TryKeep(2, 20));
        Assert.True(cache.TryGet(1, out ulong kept));
        Assert.Equal(10UL, kept);

        Assert.Equal([new(1, 10)], cache.Forget((key, _) => key == 1));
        Assert.False(cache.TryGet(1, out _));
        Assert.Equal([new CachedItem("CD", "2", "20")], cache.Items());
        cache.Replace(2, 21);
        Assert.Equal(21UL, Assert.Single(cache.Values));
    }

    [Fact]
    public void A_full_cache_forgets_everything_but_not_for_what_it_has()
    {
        TagCache<uint, ulong> cache = Make(2);
        cache.Replace(1, 10);
        cache.Replace(2, 20);

        cache.Replace(2, 21);
        Assert.Equal(2, cache.Count);
        cache.Replace(3, 30);
        Assert.Equal([3U], cache.Keys);
    }

    [Fact]
    public void Freed_pages_are_compared_with_what_caches_lead_to()
    {
        TagCache<uint, ulong> leads = Make();
        TagCache<uint, ulong> leadsNowhere = new("TLB") { Describe = (_, _) => (string.Empty, string.Empty) };
        leads.TryKeep(7, 0x2FF8);
        leadsNowhere.TryKeep(7, 0x1000);
        var all = new CacheSet(leadsNowhere, leads);

        // The size is rounded up to whole pages.
        Assert.Equal("entry 7", all.FindReferenceInto(Freed(0x1000, 4097)));
        Assert.Null(all.FindReferenceInto(Freed(0x1000, 4096)));
        Assert.Null(all.FindReferenceInto(Freed(0x3000, 1)));
        all.Clear();
        Assert.Empty(all.Items());
    }

    [Fact]
    public void The_smallest_translation_that_covers_an_address_is_found_and_ranges_name_what_they_touch()
    {
        var cache = new TranslationCache<uint, string>("TLB") { Describe = (key, value) => ($"{key.First:x}", value) };
        cache.Keep(5, 0x40_0123, 21, "block");
        Assert.True(cache.TryFind(5, 0x40_1FFF, out _, out string? found));
        Assert.Equal("block", found);
        cache.Keep(5, 0x40_1FFF, 12, "page");

        Assert.True(cache.TryFind(5, 0x40_1000, out TranslationKey<uint> key, out found));
        Assert.Equal(("page", 0x40_1000UL, 0x40_1FFFUL), (found, key.First, key.Last));
        Assert.True(cache.TryFind(5, 0x40_2000, out _, out found));
        Assert.Equal("block", found);
        cache.TryKeep(5, 0x40_1000, 12, "another");
        Assert.True(cache.TryFind(5, 0x40_1000, out _, out found));
        Assert.Equal("page", found);
        Assert.False(cache.TryFind(6, 0x40_1000, out _, out _));
        Assert.False(cache.TryFind(5, 0x60_0000, out _, out _));

        Assert.Single(cache.Forget((k, _) => k.Overlaps(new AddressRange(0x40_0000, 0x40_0FFF))));
        Assert.Equal(["page"], cache.Values);
        Assert.Single(cache.Forget((k, _) => k.Overlaps(new AddressRange(0x40_1FFF, 0x40_1FFF))));
    }

    private static AddressRange Freed(ulong address, int bytes) =>
        AddressRange.OfFreed(new MemoryEvent(0, MemoryEventKind.Free, address, bytes, 0));

    private static TagCache<uint, ulong> Make(int max = int.MaxValue) => new("CD", max)
    {
        Describe = (key, value) => ($"{key}", $"{value}"),
        LeadsInto = (key, value, range) => range.Contains(value) ? $"entry {key}" : null,
    };
}
