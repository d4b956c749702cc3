// SPDX-License-Identifier: Apache-2.0
using System.Numerics;

namespace PasidFramework.Drivers.IntelVtd.Tests;

public sealed class InvalidationRangeTests
{
    private const uint PasidValue = 0x12345;
    private static readonly BigInteger s_top = BigInteger.One << 64;

    // 64-bit numbers of every magnitude: random bits, cut to a random width, near a random power of two.
    private static readonly Gen<ulong> s_address =
        from high in Gen.Choose(int.MinValue, int.MaxValue)
        from low in Gen.Choose(int.MinValue, int.MaxValue)
        from shift in Gen.Choose(0, 63)
        select (((ulong)(uint)high << 32) | (uint)low) >> shift;

    private static readonly Gen<(ulong Start, ulong End)> s_range = Gen.OneOf(
        from start in s_address
        from length in s_address
        select (start, start + length),
        from start in s_address
        from pages in Gen.Choose(0, 600)
        from bytes in Gen.Choose(0, 4096)
        select (start, start + ((ulong)pages * 4096) + (ulong)bytes),
        from length in s_address
        select (unchecked(0 - length), 0UL));

    [Theory]
    [InlineData(18), InlineData(0), InlineData(52)]
    public void D6_the_descriptors_cover_the_range_and_less_than_four_times_its_pages(int mamv)
    {
        var fixture = new Fixture(Fixture.With(("mamv", $"{mamv}")));
        fixture.Recorder.IsRecording = false;
        (VtdDomain domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic, DeviceFeatures.Ats);
        UnitLink? link = null;
        Fixture.Ok(domain.Attach(new Pasid(PasidValue), 0x5000, device, true, ref link));

        Prop.ForAll(s_range.ToArbitrary(), range =>
        {
            ulong[][] descriptors = fixture.Consumed(
                () => Fixture.Ok(domain.Invalidate(new Pasid(PasidValue), link, range.Start, range.End)));
            List<(BigInteger First, BigInteger End)> iotlb = Decode(descriptors, "intel-vtd/inv_p_iotlb", 6, mamv);
            List<(BigInteger First, BigInteger End)> device8 = Decode(descriptors, "intel-vtd/inv_p_dev_tlb", 8, 52);
            if (range.Start == range.End && range.End != 0)
            {
                return descriptors.Length == 0;
            }

            BigInteger first = range.Start;
            BigInteger end = range.End == 0 ? s_top : range.End;
            return end < first
                ? Covers(iotlb, 0, s_top) && Covers(device8, 0, s_top)
                : Covers(iotlb, first, end) && Covers(device8, first, end)
                    && IsNotMuchMore(iotlb, first, end, mamv) && IsNotMuchMore(device8, first, end, mamv);
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData(0x7f0012344000, 0x7f0012346000, 0x0001234500010036, 0x00007f0012344001)] // two pages, aligned
    [InlineData(0x7f0012344fff, 0x7f0012345000, 0x0001234500010036, 0x00007f0012344000)] // the last byte of a page
    [InlineData(0x0, 0x1, 0x0001234500010036, 0x0)]
    [InlineData(0x0, 0x40000000, 0x0001234500010036, 0x12)] // 2^18 pages: CAP.MAMV
    [InlineData(0x0, 0x40000001, 0x0001234500010026, 0x0)] // one more: the whole PASID
    [InlineData(0x5000, 0x4000, 0x0001234500010026, 0x0)] // wraps
    [InlineData(0x0, ulong.MaxValue, 0x0001234500010026, 0x0)]
    public void D6_examples_of_the_IOTLB_descriptor(ulong start, ulong end, ulong word0, ulong word1)
    {
        ulong[][] descriptors = Invalidate(DeviceFeatures.None, start, end);

        Assert.Equal(2, descriptors.Length);
        Assert.Equal([word0, word1, 0, 0], descriptors[0]);
    }

    [Theory]
    [InlineData(0x7f0012344000, 0x7f0012345000, 0x00007f0012344000)]
    [InlineData(0x7f0012344000, 0x7f0012346000, 0x00007f0012344800)] // S, bit 12 = 0: two pages
    [InlineData(0x7f0012340000, 0x7f0012348000, 0x00007f0012343800)] // S, lowest 0 at bit 14: eight pages
    [InlineData(0x0, ulong.MaxValue, 0x7ffffffffffff800)]
    public void D6_examples_of_the_device_TLB_size(ulong start, ulong end, ulong word1)
    {
        ulong[][] descriptors = Invalidate(DeviceFeatures.Ats, start, end);

        Assert.Equal(4, descriptors.Length); // IOTLB, fence, device TLB, wait
        Assert.Equal([0x0001234501180018, word1, 0, 0], descriptors[2]);
    }

    [Fact]
    public void D6_a_range_across_a_block_boundary_takes_two_blocks_and_the_IOTLB_comes_first()
    {
        ulong[][] descriptors = Invalidate(DeviceFeatures.Ats, 0x7000, 0x9000);

        Assert.Equal([0x6UL, 0x6, 0x5, 0x8, 0x8, 0x5], descriptors.Select(d => d[0] & 0xF));
        Assert.Equal(0x40UL, descriptors[2][0] & 0x40); // the fence
        Assert.Equal([0x6001UL, 0x8001], descriptors[..2].Select(d => d[1]));
        Assert.Equal([0x6800UL, 0x8800], descriptors[3..5].Select(d => d[1]));
    }

    [Fact]
    public void D6_a_range_of_0_to_the_top_is_everything()
    {
        ulong[][] descriptors = Invalidate(DeviceFeatures.Ats, 0, 0);

        // PASID-selective (granularity 2), a fence, the whole device TLB, a wait.
        Assert.Equal([0x26UL, 0x5, 0x8, 0x5], descriptors.Select(d => d[0] & (d == descriptors[0] ? 0x3FUL : 0xF)));
    }

    private static ulong[][] Invalidate(DeviceFeatures features, ulong start, ulong end)
    {
        var fixture = new Fixture();
        (VtdDomain domain, VtdDevice device) = fixture.AddDevice(Fixture.Nic, features);
        UnitLink? link = null;
        Fixture.Ok(domain.Attach(new Pasid(PasidValue), 0x5000, device, true, ref link));
        return fixture.Consumed(() => Fixture.Ok(domain.Invalidate(new Pasid(PasidValue), link, start, end)));
    }

    // What the descriptors of one type drop, by the specification's words: no code of the driver is used.
    private static List<(BigInteger First, BigInteger End)> Decode(
        ulong[][] descriptors, string structure, ulong type, int mamv)
    {
        PositionDecoder decoder = PositionDecoder.Of(structure);
        var result = new List<(BigInteger First, BigInteger End)>();
        foreach (ulong[] words in descriptors.Where(w => (w[0] & 0xF) == type))
        {
            Assert.Equal(PasidValue, decoder.Get(words, "PASID"));
            ulong address = decoder.Get(words, "ADDR");
            if (type == 6)
            {
                Assert.Equal(1UL, decoder.Get(words, "DID"));
                int mask = (int)decoder.Get(words, "AM");
                Assert.InRange(mask, 0, mamv);
                BigInteger size = BigInteger.One << (12 + mask);
                Assert.Equal(BigInteger.Zero, address % size);
                result.Add(decoder.Get(words, "G") == 2 ? (0, s_top) : (address, address + size));
            }
            else
            {
                Assert.Equal((ulong)Fixture.Nic.Value, decoder.Get(words, "SID"));
                int bit = 12;
                if (decoder.Get(words, "S") == 1)
                {
                    while (((address >> bit) & 1) == 1)
                    {
                        bit++;
                    }

                    bit++;
                }

                BigInteger size = BigInteger.One << bit;
                BigInteger first = address - (address % size);
                result.Add((first, first + size));
            }
        }

        return result;
    }

    private static bool Covers(List<(BigInteger First, BigInteger End)> blocks, BigInteger first, BigInteger end)
    {
        BigInteger reached = first;
        foreach ((BigInteger blockFirst, BigInteger blockEnd) in blocks.OrderBy(b => b.First))
        {
            if (blockFirst <= reached && blockEnd > reached)
            {
                reached = blockEnd;
            }
        }

        return reached >= end;
    }

    private static bool IsNotMuchMore(
        List<(BigInteger First, BigInteger End)> blocks, BigInteger first, BigInteger end, int mamv)
    {
        BigInteger pages = ((end - 1) >> 12) - (first >> 12) + 1;
        BigInteger dropped = blocks.Aggregate(BigInteger.Zero, (sum, b) => sum + ((b.End - b.First) >> 12));
        return pages > BigInteger.One << Math.Min(mamv, 51) ? dropped == s_top >> 12 : dropped < pages * 4;
    }
}
