// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Tests;

/// <summary>The model reaches what the format says; the format itself is tested with the kit.</summary>
public sealed class X86PageTableTests
{
    [Fact]
    public void What_is_read_back_is_what_a_device_reaches_at_every_level_and_with_every_right()
    {
        var random = new Random(7);
        for (int round = 0; round < 20; round++)
        {
            var memory = new ModelMemory();
            using IIommuModel model = new Emulation.Caching.VtdModel(memory, new HardwareSetup());
            VtdUnit unit = Fixture.Ok(VtdUnit.Start(new UnitSetup { Name = "dmar0", Hardware = model }));
            VtdDomain domain = Fixture.Ok(unit.AddDomain(6));
            VtdDevice device = Fixture.Ok(unit.AddDevice(Fixture.Nic, DeviceFeatures.None, domain));
            ulong root = memory.AllocatePages(4096).Value;
            Fill(memory, random, root, 4);
            UnitLink? link = null;
            Fixture.Ok(domain.Attach(new Pasid(5), root, device, true, ref link));

            Dictionary<ulong, PageMapping> found =
                X86PageTables.FourLevel.Mappings(memory, root, 0, ulong.MaxValue).ToDictionary(page => page.Address);

            foreach (ulong address in Candidates())
            {
                TranslationResult read = model.Translate(new DmaAccess(Fixture.Nic, new Pasid(5), address, false));
                TranslationResult write = model.Translate(new DmaAccess(Fixture.Nic, new Pasid(5), address, true));
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
            ulong rights = (uint)random.Next(1, 8) | (random.Next(8) == 0 ? 0 : 7UL);
            bool isLarge = level is 2 or 3 && random.Next(3) == 0;
            ulong entry;
            if (level == 1 || isLarge)
            {
                entry = ((ulong)(uint)random.Next(1, 64) << (12 + (9 * (level - 1)))) | (isLarge ? 0x80UL : 0);
            }
            else
            {
                entry = memory.AllocatePages(4096).Value;
                Fill(memory, random, entry, level - 1);
            }

            memory.WriteQword(table + ((ulong)index * 8), entry | rights);
        }
    }

    private static int[] Places(int level) =>
        level switch { 4 => [0, 255], 3 => [0, 511], 2 => [1, 2, 511], _ => [0, 7] };

    private static IEnumerable<ulong> Candidates() =>
        from four in Places(4)
        from three in Places(3)
        from two in Places(2)
        from one in new[] { 0, 1, 7, 511 }
        select ((((((ulong)four << 9) + (ulong)three) << 9) + (ulong)two << 9) + (ulong)one) << 12;
}
