// SPDX-License-Identifier: Apache-2.0
using System.Text.RegularExpressions;
using System.Xml.Linq;
using ArchUnitNET.Domain;
using ArchUnitNET.Domain.Dependencies;
using ArchUnitNET.Loader;

namespace PasidFramework.Architecture.Tests;

/// <summary>The arrows between the folders of one project, and that namespaces follow folders.</summary>
public sealed partial class FolderTests
{
    /// <summary>The rooms of a driver; a reader walks tables by the functional model's rules.</summary>
    private static readonly string[] s_rooms =
    [
        "Formats", "PageTables", "Dialects", "Queues", "Tables", "Unit", "Emulation/Functional", "Reader",
        "Emulation/Caching",
    ];

    /// <summary>What of a driver a model of its hardware must not see.</summary>
    private static readonly string[] s_driverOnly = ["Queues", "Tables", "Unit"];

    /// <summary>Members of dialects that are rules or encoders; names, features and sizes are layout.</summary>
    private static readonly string[] s_dialectRules = ["Encode", "Check", "ReadProperty"];

    /// <summary>
    /// Folders from the bottom up: one may use those before it. What lies in the project's own folder may use all. A
    /// folder that is not listed by its own path counts as the one it lies in; "." is the project's own,
    /// where it is not the top.
    /// </summary>
    private static readonly Dictionary<string, string[]> s_folders = new()
    {
        ["Core"] = ["Results", "Identifiers", "Records", "Hardware", "Allocation", "Contracts", "Engine"],
        ["Core.Hosting"] = ["Plugins", "Processes", "Options"],
        ["Comparison"] = ["Inputs", "Spooling", "Traces", "Scenarios", "Replay", "Running", "Reports"],
        ["Conformance"] = ["Results", "Bench", "Catalogue", "Waivers", "Running", "Reports"],
        ["Hardware.Qemu"] = ["Machine", "Devices", "Hardware", "Smmu", "Virtio", "Vtd"],
        ["Benchmarks"] = ["Measuring", "Works", "Rows", "Micro"],
        ["Cli"] = ["Common", "Compare", "Drivers", "Structures", "Verify"],
        ["DriverKit"] = ["PageTables", "Tables", "Units", "Queues", "Emulation"],
        ["TestKit"] = [".", "Mutations", "PageTables", "Tables", "Units"],
        ["Conformance.Xunit"] = [],
        ["Drivers.ArmSmmu"] = s_rooms,
        ["Drivers.IntelVtd"] = s_rooms,
        ["Drivers.Reference"] = s_rooms,
        ["Drivers.VirtioIommu"] = s_rooms,
    };

    public static TheoryData<string> Listed => [.. s_folders.Keys];

    public static TheoryData<string> Drivers =>
        [.. s_folders.Keys.Where(p => p.StartsWith("Drivers.", StringComparison.Ordinal))];

    public static TheoryData<string> All => ReferenceTests.Projects;

    [Theory]
    [MemberData(nameof(Listed))]
    public void Folders_form_no_circle(string project)
    {
        string root = RootNamespace(project);
        ArchUnitNET.Domain.Architecture house = Load(project);

        string[] upward =
        [
            .. from type in house.Types
               from target in type.Dependencies.Select(d => d.Target).Distinct()
               where Rank(project, root, target) > Rank(project, root, type)
               select $"{type.FullName} -> {target.FullName}",
        ];

        Assert.Empty(upward.Distinct().Order());
        Assert.Empty(house.Types.Where(t => Rank(project, root, t) == -1).Select(t => t.FullName));
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public void A_model_shares_formats_with_its_driver_and_neither_encoders_nor_rules(string project)
    {
        string root = RootNamespace(project);

        Assert.Empty(
            from type in Load(project).Types
            where s_rooms.ElementAtOrDefault(Rank(project, root, type)) is "Emulation/Functional" or "Emulation/Caching"
            from dependency in type.Dependencies
            let room = s_rooms.ElementAtOrDefault(Rank(project, root, dependency.Target))
            where s_driverOnly.Contains(room) || (room == "Dialects" && dependency is MethodCallDependency call
                && s_dialectRules.Any(r => call.TargetMember.Name.StartsWith(r, StringComparison.Ordinal)))
            select $"{type.FullName} -> {dependency.Target.FullName}");
    }

    [Theory]
    [InlineData("DriverKit")]
    [MemberData(nameof(Drivers))]
    public void Who_builds_a_driver_never_sees_the_engine(string project) =>
        Assert.Empty(SeenBy(project, "PasidFramework.Engine"));

    [Fact]
    public void Who_sees_the_engine_is_found() => Assert.NotEmpty(SeenBy("Conformance", "PasidFramework.Engine"));

    [Theory]
    [MemberData(nameof(All))]
    public void Namespaces_follow_folders(string project)
    {
        string folder = Path.Combine(ReferenceTests.Root, project);
        string root = RootNamespace(project);

        Assert.Empty(
            from file in Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories)
            let path = Path.GetRelativePath(folder, Path.GetDirectoryName(file)!).Replace('\\', '/')
            let expected = path == "." ? root : $"{root}.{path.Replace('/', '.')}"
            let stated = NamespaceLine().Match(File.ReadAllText(file))
            where stated.Success && stated.Groups[1].Value != expected
            select $"{Path.GetRelativePath(folder, file)}: {stated.Groups[1].Value}");
    }

    [Fact]
    public void An_upward_arrow_is_found()
    {
        ArchUnitNET.Domain.Architecture core = Load("Core");
        IType unit = core.Types.Single(t => t.Name == "IIommuUnit");

        Assert.Contains(unit.Dependencies, d => d.Target.Name == "Device");
        Assert.Contains(unit.Dependencies, d => d.Target.Name == "OpResult");
        Assert.True(Rank("Core", "PasidFramework", core.Types.Single(t => t.Name == "IommuCore"))
            > Rank("Core", "PasidFramework", unit));
    }

    private static IEnumerable<string> SeenBy(string project, string space) =>
        from type in Load(project).Types
        from target in type.Dependencies.Select(d => d.Target).Distinct()
        where target.Namespace?.FullName is { } name
            && (name == space || name.StartsWith(space + '.', StringComparison.Ordinal))
        select $"{type.FullName} -> {target.FullName}";

    private static ArchUnitNET.Domain.Architecture Load(string project)
    {
        string file = ReferenceTests.AssemblyFile(project);
        return new ArchLoader().LoadFilteredDirectory(Path.GetDirectoryName(file), Path.GetFileName(file)).Build();
    }

    // Position of a type's folder from the bottom; -1 where the project's folder is not listed, -2 for what is not the
    // project's.
    private static int Rank(string project, string root, IType type)
    {
        string space = type.Namespace?.FullName ?? string.Empty;
        string[] folders = s_folders[project];
        if (type is GenericParameter)
        {
            // Two methods' "T" are one type to the loader, wherever it met it first.
            return -2;
        }

        if (space == root)
        {
            return Array.IndexOf(folders, ".") is var own && own >= 0 ? own : folders.Length;
        }

        if (!space.StartsWith(root + '.', StringComparison.Ordinal) || !IsOf(project, type))
        {
            return -2;
        }

        for (string path = space[(root.Length + 1)..].Replace('.', '/'); path.Length > 0;
            path = path.LastIndexOf('/') is var slash && slash > 0 ? path[..slash] : string.Empty)
        {
            if (Array.IndexOf(folders, path) is var rank && rank >= 0)
            {
                return rank;
            }
        }

        return -1;
    }

    private static bool IsOf(string project, IType type) =>
        type.Assembly.Name.Split(',')[0] == Path.GetFileNameWithoutExtension(ReferenceTests.AssemblyFile(project));

    private static string RootNamespace(string project) =>
        XDocument.Load(Path.Combine(ReferenceTests.Root, project, project + ".csproj"))
            .Descendants("RootNamespace").SingleOrDefault()?.Value ?? ReferenceTests.Prefix + project;

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex NamespaceLine();
}
