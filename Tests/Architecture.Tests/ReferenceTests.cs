// SPDX-License-Identifier: Apache-2.0
using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Xml.Linq;

namespace PasidFramework.Architecture.Tests;

/// <summary>
/// The arrows of the house, read from the built assemblies and from the project files (an unused project reference
/// leaves no trace in the assembly).
/// </summary>
public sealed class ReferenceTests
{
    internal const string Prefix = "PasidFramework.";

    /// <summary>What each product project may reference of ours. A project that is not listed here fails the
    /// test.</summary>
    private static readonly Dictionary<string, string[]> s_allowed = new()
    {
        ["Core"] = [],
        ["Core.Hosting"] = ["Core", "DriverKit"],
        ["Benchmarks"] = ["Core", "DriverKit", "Drivers.ArmSmmu", "Drivers.IntelVtd"],
        ["DriverKit"] = ["Core"],
        ["TestKit"] = ["Core", "DriverKit"],
        ["Comparison"] = ["Core"],
        ["Conformance"] = ["Core"],
        ["Conformance.Xunit"] = ["Core", "Conformance", "DriverKit"],
        ["Drivers.ArmSmmu"] = ["Core", "DriverKit"],
        ["Drivers.IntelVtd"] = ["Core", "DriverKit"],
        ["Drivers.Reference"] = ["Core", "DriverKit"],
        ["Drivers.VirtioIommu"] = ["Core", "DriverKit"],
        ["Hardware.Qemu"] = ["Core"],
        ["Cli"] = ["Core", "Core.Hosting", "Comparison", "Conformance", "Hardware.Qemu"],
    };

    /// <summary>Packages that Core and the drivers may see: the list that the plug-in host shares with them.</summary>
    private static readonly string[] s_shared =
    [
        "System.Composition.AttributedModel", "Microsoft.Extensions.Options",
        "Microsoft.Extensions.Logging.Abstractions",
    ];

    public static TheoryData<string> Projects => [.. s_allowed.Keys];

    [Theory]
    [MemberData(nameof(Projects))]
    public void An_assembly_references_only_what_the_architecture_allows(string project)
    {
        string[] references = References(project);

        Assert.Empty(Forbidden(project, references.Where(r => r.StartsWith(Prefix, StringComparison.Ordinal))
            .Select(r => r[Prefix.Length..])));
        if (project is "Core" or "DriverKit" || project.StartsWith("Drivers.", StringComparison.Ordinal))
        {
            Assert.DoesNotContain(references, r =>
                !r.StartsWith(Prefix, StringComparison.Ordinal) && !IsFramework(r) && !s_shared.Contains(r));
        }
    }

    [Theory]
    [MemberData(nameof(Projects))]
    public void A_project_file_references_only_what_the_architecture_allows(string project) =>
        Assert.Empty(Forbidden(project, ProjectReferences(Path.Combine(Root, project, project + ".csproj"))));

    [Fact]
    public void Every_product_project_has_a_rule()
    {
        string[] projects =
        [
            .. Directory.GetFiles(Root, "*.csproj", SearchOption.AllDirectories)
                .Select(f => Path.GetRelativePath(Root, f).Replace('\\', '/'))
                .Where(f => !f.StartsWith("Tests/", StringComparison.Ordinal)
                    && !f.StartsWith("artifacts/", StringComparison.Ordinal))
                .Select(f => Path.GetFileNameWithoutExtension(f)!),
        ];

        Assert.Equal(s_allowed.Keys.Order(), projects.Order());
    }

    [Fact]
    public void A_wrong_arrow_is_found()
    {
        Assert.Equal(["Drivers.ArmSmmu"], Forbidden("Drivers.VirtioIommu", ["Core", "Drivers.ArmSmmu"]));
        Assert.Equal(["Core.Hosting"], Forbidden("Comparison", ["Core.Hosting"]));
        Assert.Contains("xunit.v3.core", References("Architecture.Tests"));
    }

    internal static string Root => Metadata("RepositoryRoot");

    private static string[] Forbidden(string project, IEnumerable<string> references) =>
        [.. references.Where(r => !s_allowed[project].Contains(r))];

    private static bool IsFramework(string name) =>
        name.StartsWith("System.", StringComparison.Ordinal)
            && !name.StartsWith("System.Composition", StringComparison.Ordinal);

    // References that only order the build (a plug-in beside the command line tool) are no arrows.
    private static IEnumerable<string> ProjectReferences(string file) => XDocument.Load(file)
        .Descendants("ProjectReference")
        .Where(e => !string.Equals((string?)e.Attribute("ReferenceOutputAssembly"), "false",
            StringComparison.OrdinalIgnoreCase))
        .Select(e => Path.GetFileNameWithoutExtension(((string)e.Attribute("Include")!).Replace('\\', '/')));

    internal static string AssemblyFile(string project) => Path.Combine(
        Metadata("ArtifactsBin"), project, Metadata("Pivot"), project == "Cli" ? "pasidctl.dll" : Prefix + project
            + ".dll");

    private static string[] References(string project)
    {
        using var reader = new PEReader(File.OpenRead(AssemblyFile(project)));
        MetadataReader metadata = reader.GetMetadataReader();
        return [.. metadata.AssemblyReferences.Select(h => metadata.GetString(metadata.GetAssemblyReference(h).Name))];
    }

    private static string Metadata(string key) => typeof(ReferenceTests).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == key).Value!;
}
