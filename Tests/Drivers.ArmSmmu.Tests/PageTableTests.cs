// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>The model reaches what the format says; the format itself is tested with the kit.</summary>
public sealed class PageTableTests
{
    [Fact]
    public void What_is_read_back_is_what_a_device_reaches_at_every_level_and_with_every_right()
    {
        var random = new Random(7);
        for (int round = 0; round < 20; round++)
        {
            var memory = new ModelMemory();
            using IIommuModel model = new Emulation.Caching.SmmuModel(memory, new HardwareSetup());
            using Unit.SmmuUnit unit = Unit.SmmuUnit.Start(new UnitSetup { Name = "smmu0", Hardware = model }).Value!;
            Unit.SmmuDomain domain = unit.CreateDomain(6).Value!;
            Assert.True(unit.AddStream(domain, new RequesterId(3), ats: false).IsOk);
            ulong root = memory.AllocatePages(4096).Value;
            Fill(memory, random, root, 0);
            var link = new SmmuLink(unit.CreateProcess().Value!);
            Assert.True(domain.Attach(link, new Pasid(5), root, first: true).IsOk);

            Dictionary<ulong, PageMapping> found =
                ArmPageTables.Granule4K.Mappings(memory, root, 0, ulong.MaxValue).ToDictionary(page => page.Address);

            foreach (ulong address in Candidates())
            {
                TranslationResult read =
                    model.Translate(new DmaAccess(new RequesterId(3), new Pasid(5), address, false));
                TranslationResult write =
                    model.Translate(new DmaAccess(new RequesterId(3), new Pasid(5), address, true));
                bool isMapped = found.TryGetValue(address, out PageMapping page);
                Assert.Equal(isMapped ? TranslationStatus.Translated : TranslationStatus.Faulted, read.Status);
                Assert.Equal(isMapped ? page.Target : 0, read.Address);
                Assert.Equal(isMapped && page.IsWritable, write.Status == TranslationStatus.Translated);
            }
        }
    }

    // Tables with entries of every kind in a few places; the rest stays empty.
    private static void Fill(ModelMemory memory, Random random, ulong table, int level)
    {
        foreach (int index in Places(level))
        {
            bool isBlock = level is 1 or 2 && random.Next(3) == 0;
            ulong entry;
            if (level == 3 || isBlock)
            {
                // AF, SH, AP1 and AttrIndx 1, of which one may be missing; AP2 at random.
                ulong attributes = 0xF44UL & ~(random.Next(4) switch { 0 => 0x400UL, 1 => 0x40UL, _ => 0UL });
                entry = ((ulong)(uint)random.Next(1, 64) << (12 + (9 * (3 - level)))) | attributes
                    | (random.Next(2) == 0 ? 0x80UL : 0) | (isBlock ? 1UL : 3UL);
            }
            else
            {
                entry = memory.AllocatePages(4096).Value;
                Fill(memory, random, entry, level + 1);
                entry |= 3 | (random.Next(6) switch { 0 => 1UL << 61, 1 => 1UL << 62, _ => 0UL });
            }

            memory.WriteQword(table + ((ulong)index * 8), entry);
        }
    }

    private static int[] Places(int level) =>
        level switch { 0 => [0, 511], 1 => [0, 511], 2 => [1, 2, 511], _ => [0, 7] };

    private static IEnumerable<ulong> Candidates() =>
        from zero in Places(0)
        from one in Places(1)
        from two in Places(2)
        from three in new[] { 0, 1, 7, 511 }
        select ((((((ulong)zero << 9) + (ulong)one) << 9) + (ulong)two << 9) + (ulong)three) << 12;
}
