// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.Conformance.Tests;

public sealed class IntelVtdConformance() : BundledConformance("intel-vtd");

public sealed class ArmSmmuConformance() : BundledConformance("arm-smmu");

public sealed class VirtioIommuConformance() : BundledConformance("virtio-iommu");

public sealed class QemuTests
{
    /// <summary>Where this is skipped, so is everything on QEMU; <c>PASID_REQUIRE_QEMU=1</c> makes it a
    /// failure.</summary>
    [Fact]
    public void Qemu_is_there()
    {
        if (Bundled.Qemus.Count == 0)
        {
            string missing = $"NO QEMU: the {ConformanceCatalogue.Cases.Count(c => c.NeedsHardware)} "
                + $"cases on hardware of 3 drivers and all of Hardware.Qemu.Tests were NOT run on it "
                + $"({Bundled.Problems}); run eng/install-qemu";
            Assert.SkipUnless(Environment.GetEnvironmentVariable("PASID_REQUIRE_QEMU") == "1", missing);
            Assert.Fail(missing);
        }

        Assert.All(Bundled.Qemus, q => Assert.True(q.Version.Major >= 10));
    }
}
